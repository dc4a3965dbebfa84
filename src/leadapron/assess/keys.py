"""The key of a finding: the same hole has the same key in every run from the same kind of place."""

from __future__ import annotations

import hashlib
import json

from leadapron.assess.catalogue import catalogue
from leadapron.model import Service, VantageKind

KEY_VERSION = "v1"
"""Part of what is hashed. A change of the parts below needs a new version, and a migration of stored findings."""


def finding_key(vantage: VantageKind, service: Service, control: str) -> str:
    """16 hexadecimal digits.

    The name that led to an endpoint is no part of it: a new DNS name for the same server is not a new hole. Neither is
    the resource where the control is about the endpoint: a server that begins to check titles is still reachable.
    """
    known = catalogue().get(control)
    resource = "" if known is not None and known.about_endpoint else service.resource
    parts = [
        KEY_VERSION,
        vantage.value,
        service.protocol,
        str(service.endpoint.address),
        service.endpoint.port,
        resource,
        control,
    ]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:16]
