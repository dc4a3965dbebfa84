"""Servers of DICOMweb (DICOM PS3.18) in a namespace: Orthanc with its plugin, and tiny_pacs.

TODO
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_servers import Namespace, free_ports, orthanc, require
from web_servers import PASSWORD, USER, Answer, ask, installed

from leadapron.model import Endpoint

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Of Debian's orthanc-dicomweb."""
ORTHANC_ROOT, TINY_PACS_ROOT = "/dicom-web", "/dicomweb"
DICOM_JSON = "application/dicom+json"
BOUNDARY = "made-up-boundary"


@contextlib.contextmanager
def orthanc_web(
    inside: Namespace, folder: Path, *, locked: bool = False, **settings: object
) -> Iterator[Endpoint]:
    """The REST of an Orthanc, and DICOMweb of its plugin below /dicom-web/. `WebDavEnabled=True` opens /webdav/ too."""
    require("Orthanc")
    if not PLUGIN.exists():
        pytest.skip("Orthanc has no DICOMweb plugin (tests/apt-packages.txt)")
    dicom_port, http_port = free_ports(2)
    access = {"AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}} if locked else {}
    # In the namespace alone it listens on every address: Orthanc knows no other way than RemoteAccessAllowed.
    with orthanc(inside, folder, dicom_port, http_port, **{"Plugins": [str(PLUGIN)], **access, **settings}):
        yield Endpoint(address=ip_address("127.0.0.1"), port=http_port)


@contextlib.contextmanager
def tiny_pacs(inside: Namespace, folder: Path, *, tokens: tuple[str, ...] = ()) -> Iterator[Endpoint]:
    """tiny_pacs with tiny-pacs-dicomweb, below /dicomweb: open, or for those who bear one of `tokens`."""
    dicom_port, http_port = free_ports(2)
    here = Endpoint(address=ip_address("127.0.0.1"), port=http_port)
    place = folder / f"tiny-pacs-{http_port}"
    place.mkdir()
    web = {"on": True, "auth": "token" if tokens else "none", "tokens": list(tokens)}
    configuration = {
        "ae": {"ae_title": ["TINY_PACS"], "port": dicom_port},
        "components": {
            "HttpServer": {"on": True, "host": "127.0.0.1", "port": http_port},
            "DICOMWeb": web,
        },
    }
    file = place / "tiny.json"
    file.write_text(json.dumps(configuration))
    with inside.serving(http_port, installed("tiny-pacs"), "run", "-c", file, log=place / "output.log", cwd=place):
        yield here


def stow(inside: Namespace, here: Endpoint, root: str, files: Sequence[bytes]) -> Answer:
    """Store instances by STOW-RS (PS3.18 section 10.5), as one request; a JSON answer."""
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    content = b"".join(head + file + b"\r\n" for file in files) + f"--{BOUNDARY}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    return ask(inside, here, "POST", f"{root}/studies", {"Content-Type": kind, "Accept": DICOM_JSON}, content)
