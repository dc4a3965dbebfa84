"""The rsync daemon: which modules it has, and what those list that are open to anyone."""
