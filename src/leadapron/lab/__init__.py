"""The demo estate: made-up imaging servers on loopback, on our own codec. Every patient is synthetic and says so."""
