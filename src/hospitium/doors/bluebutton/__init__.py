"""BlueButtonPro's organization invites, FHIR server grants, and persons (docs/dialects/bluebutton.md)."""
