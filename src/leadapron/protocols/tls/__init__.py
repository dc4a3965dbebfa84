"""TLS under a protocol: what a server accepts (`offers`), its certificate (`handshake`), a conversation inside TLS
(`through`), and what follows from it (`verdict`). `wire` is our own codec: no library offers what `offers` must find."""
