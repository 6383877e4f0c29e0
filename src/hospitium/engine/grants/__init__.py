"""Grants: what an accepted connection (or ownership) allows, as intervals that are never changed in place."""
