"""Offers: an organization asks a colleague, by e-mail, to become its member."""
