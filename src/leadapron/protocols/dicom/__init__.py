"""DICOM upper layer and DIMSE: the wire codec (`wire`), what we ask (`inquiry`), how we count (`counting`, `answers`),
and what follows from it (`probe`)."""
