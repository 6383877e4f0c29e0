"""FHIR servers: where the patients of an organization are, here or elsewhere, and who may do what there."""
