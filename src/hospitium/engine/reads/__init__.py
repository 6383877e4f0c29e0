"""Reads of FHIR servers: on record before anything is shown, and seen by whom they concern."""
