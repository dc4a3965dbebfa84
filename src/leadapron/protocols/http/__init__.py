"""HTTP, and the doors that open over it: each a folder of its own, whose `door.toml` says `over = "http"`."""
