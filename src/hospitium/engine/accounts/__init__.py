"""Accounts: one login each, with one e-mail address and one password."""
