"""HL7 version 2 over MLLP: whether something listens, and talks. No message is ever sent."""
