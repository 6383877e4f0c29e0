"""Partnerships: an organization asks another to connect; the other answers; either ends it."""
