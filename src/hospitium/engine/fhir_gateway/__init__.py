"""The read gateway: what may be asked of a FHIR server, and what of its answers may be shown."""
