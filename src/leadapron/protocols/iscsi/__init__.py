"""iSCSI: whether a target talks to a stranger. Its disks are not asked for, and never opened."""
