"""Persons: humans whose records an account may look after, as what, from when until when."""
