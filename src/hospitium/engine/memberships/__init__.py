"""Memberships: which account acts for which organization, as what, from when until when."""
