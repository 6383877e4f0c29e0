"""Suspensions: the grants on a patient who was found merged, gone or inactive count for nothing until an administrator has looked."""
