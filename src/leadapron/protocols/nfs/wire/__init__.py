"""ONC RPC and what is spoken over it, sans-IO: record marking, the portmapper, MOUNT, NFS version 3 and 4.0."""
