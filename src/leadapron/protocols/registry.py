"""Every protocol, by name. A new one is one new folder and one line here."""

from __future__ import annotations

from leadapron.protocols.base import Protocol
from leadapron.protocols.dicom.probe import Dicom

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (Dicom(),)}
