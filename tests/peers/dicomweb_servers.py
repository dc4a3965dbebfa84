"""Servers of DICOMweb (DICOM PS3.18) in a namespace: Orthanc with its plugin, and tiny_pacs.

What was seen of Orthanc 1.10 with DICOMweb 1.7 (Debian 12), and of tiny_pacs 0.4 with tiny-pacs-dicomweb 0.1:

asked                                     Orthanc                             tiny_pacs
root                                      /dicom-web                          /dicomweb
GET of the root itself                    404, JSON                           404, text
studies                                   200, JSON                           200, JSON
studies that match nothing, or past end   200 `[]`                            204, and closes
studies?limit=0                           all                                 one
studies?offset=1&limit=1                  the second                          the second
studies?bogus=1                           200, all                            200, all
studies, Accept: application/json         200, application/dicom+json         the same
studies, Accept: text/html                200, application/dicom+json         406, text
00201206, 00201208 of a study             always there                        never there, even if asked for
series, instances without a study         200                                 404
studies/UID/series of no such study       200 `[]`                            204
studies/UID/instances                     200                                 404
.../instances/UID/metadata                200                                 404
.../instances/UID, multipart              200                                 200, chunked, and closes
... without transfer-syntax=*             as Explicit VR Little Endian         as stored
.../instances/UID, application/dicom      400                                 200
.../instances/UID, a Range                200, whole                          200, whole
an instance that is not there             404, JSON                           404, text
OPTIONS                                   404                                 405
locked                                    401 Basic "Orthanc Secure Area",    401 Bearer "tiny_pacs",
                                          empty, for every path and /webdav/  empty, below the root alone
Server                                    none                                tiny_pacs

Neither sends a Warning when `limit` cuts an answer (PS3.18 section 8.3.4.4): the end is told by a page that is not full.
Orthanc's JSON is indented with tabs and writes `"00080020" : {"vr" : "DA"}` without Value for what is empty; an error
repeats the path that was asked, in "Uri" and "Details". Its own REST is beside it: /system, /statistics (four counts),
/studies (its own ids), / (301 to app/explorer.html). Orthanc keeps an idle connection for one second (Keep-Alive:
timeout=1). RemoteAccessAllowed=False refuses nobody who comes from 127.0.0.1.
With SslEnabled Debian's Orthanc listens, and closes without an answer: `web_servers.nginx_https` stands before it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from asking import Answer, ask
from real_servers import Namespace, free_ports, orthanc, require
from web_servers import PASSWORD, USER, installed

from leadapron.model import Endpoint

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Of Debian's orthanc-dicomweb."""
ORTHANC_ROOT, TINY_PACS_ROOT = "/dicom-web", "/dicomweb"
DICOM_JSON = "application/dicom+json"
BOUNDARY = "made-up-boundary"


@contextlib.contextmanager
def orthanc_web(inside: Namespace, folder: Path, *, locked: bool = False, **settings: object) -> Iterator[Endpoint]:
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
