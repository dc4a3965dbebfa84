"""DICOM upper layer and DIMSE: the wire codec (`wire`), what we ask (`inquiry`), how we count (`tally`, `answers`),
and what follows from it (`probe`)."""
