"""NFS: exports that anyone may mount. `wire` is sans-IO, `exchange` carries calls over connections, `tree` lists and reads."""
