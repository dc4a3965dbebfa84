"""Seeds: what other scanners found, read as places where a look begins. Each still has to pass the gate."""
