"""FHIR resources: what built-in FHIR servers hold, found by id and by the search parameters of R4 that are served here."""
