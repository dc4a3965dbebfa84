"""The DICOM codec, sans-IO: bytes in, values out; no socket, clock, thread or log.

`pdu` and `items` are PS3.8 (upper layer), `dimse` is PS3.7 (messages), `elements` is PS3.5 (data elements),
`association` joins them into either side of an association. The scanner and the demo estate use the same code.

Each parser gives a result or raises `leadapron.errors.WireError`, in time and memory bounded by its input and the
limits it names.
"""
