"""The key of a finding: the same hole has the same key in every run from the same kind of place."""

from __future__ import annotations

import hashlib
import json

from leadapron.model import Service, VantageKind

KEY_VERSION = "v1"
"""Part of what is hashed. A change of the parts below needs a new version, and a migration of stored findings."""


def finding_key(vantage: VantageKind, service: Service, control: str) -> str:
    """16 hexadecimal digits.

    The name that led to an endpoint is no part of it: a new DNS name for the same server is not a new hole.
    """
    parts = [
        KEY_VERSION,
        vantage.value,
        service.protocol,
        str(service.endpoint.address),
        service.endpoint.port,
        service.resource,
        control,
    ]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:16]
