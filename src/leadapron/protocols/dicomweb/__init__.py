"""Archives over HTTP: DICOMweb (PS3.18), and the REST interface of Orthanc."""
