"""NFS: exports that anyone may mount. `wire` is sans-IO, `exchange` carries calls, `tree` lists and reads, `jobs` are the
connections, `verdicts` says what it means."""
