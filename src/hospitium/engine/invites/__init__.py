"""Invites: a patient of a FHIR server, offered to whoever is invited to look after that record."""
