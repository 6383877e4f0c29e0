"""The read gateway's door: FHIR R4 over HTTP, read only, JSON only (docs/dialects/fhir.md)."""
