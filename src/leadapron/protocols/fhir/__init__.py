"""FHIR servers over HTTP: how many imaging studies and patients they let anyone count (HL7 FHIR, RESTful API)."""
