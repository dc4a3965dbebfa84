"""Every door that carries text, open, in one namespace: real servers, and one fake for the places that they cannot fill. In
each place stands a canary of its own (`canaries.Canaries`)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from canary_files import PLACES_IN_A_FILE, image, served_folder
from file_doors import proftpd, rsyncd, vsftpd
from ganesha import NFS_PORT, Export, ganesha, portmapper
from ganesha import PROGRAMS as NFS_PROGRAMS
from object_stores import ACCOUNT, LIST, LISTED, READ, azurite, fake_gcs, seaweedfs
from portal_servers import CATALINA_HOME, hapi, viewer
from proxies import nginx_tls
from real_servers import Namespace, free_ports, load_orthanc, orthanc, require
from samba import smbd
from tls_servers import Maker
from web_servers import apache, http_server, nginx_listing, wsgidav

from canaries import OF_OTHERS, Canaries
from leadapron.model import Endpoint

PROGRAMS = (
    *("ip", "ss", "Orthanc", "nginx", "apache2", "smbd", "vsftpd", "rsync", "tgtd", "tgtadm", "node", "openssl"),
    *("java", "javac", "mvn", *NFS_PROGRAMS),
)
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
ISCSI_PORT = 3260
IMAGES = 4
"""Of each folder, bucket and archive."""
VIEWER = "window.config = {{ name: '{word}', dataSources: [{{ configuration: {{ qidoRoot: '/pacs/dicom-web' }} }}] }};"

FAKES = Path(__file__).with_name("talkative.py")


@dataclass
class Estate:
    """Where the servers are, and what a scope has to name."""

    inside: Namespace
    folder: Path
    canaries: Canaries
    buckets: dict[str, str] = field(default_factory=dict)
    """by their server"""
    urls: list[str] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)
    """the port of each server, by its name"""
    _doors: dict[str, str] = field(default_factory=dict)

    def stands(self, server: str, door: str, port: int) -> None:
        self.at[server], self._doors[server] = port, door

    def ports_of(self, *servers: str) -> dict[str, list[int]]:
        """By door, as a scope has them; of all servers where none is named."""
        found: dict[str, list[int]] = {}
        for server, door in self._doors.items():
            if not servers or server in servers:
                found.setdefault(door, []).append(self.at[server])
        return found

    def word(self, place: str) -> str:
        return self.canaries.word(place)

    def served(self, door: str, name: str = "") -> Path:
        root = self.folder / (name or f"served-{door.replace(' ', '-')}")
        served_folder(root, lambda place: self.word(f"{door}: {place}"), IMAGES)
        return root

    def images(self, door: str) -> list[bytes]:
        words = {place: self.word(f"{door}: {place}") for place in PLACES_IN_A_FILE}
        return [image(number, words) for number in range(IMAGES)]


@contextlib.contextmanager
def estate(inside: Namespace, folder: Path) -> Iterator[Estate]:
    """All of them, for as long as the context is held."""
    require(*PROGRAMS)
    folder.chmod(0o755)
    made = Estate(inside, folder, Canaries(*OF_OTHERS))
    with contextlib.ExitStack() as stack:
        for start in (_archive, _web, _portals, _ftp, _shares, _stores, _talkers):
            stack.enter_context(start(made))
        yield made


@contextlib.contextmanager
def _archive(made: Estate) -> Iterator[None]:
    """Orthanc: DICOM, its REST, DICOMweb and WebDAV; and its web once more, inside TLS."""
    port, http_port = free_ports(2)
    title = made.word("Orthanc: its own title") + "^X"
    settings = {
        "DicomAlwaysAllowFind": True,
        "Plugins": [PLUGIN],
        "Name": made.word("Orthanc: name"),
        "DicomAet": title,
    }
    modality = {"word": [made.word("Orthanc: title of a modality"), "127.0.0.9", 104]}
    backend = _here(http_port)
    pair = Maker(folder=made.folder).make(made.word("certificate: names"))
    with (
        orthanc(made.inside, made.folder, port, http_port, **{**settings, "DicomModalities": modality}),
        nginx_tls(made.inside, made.folder, backend, pair) as secured,
    ):
        load_orthanc(made.inside, http_port, made.images("Orthanc"))
        made.stands("orthanc", "dicom", port)
        made.stands("orthanc web", "http", http_port)
        made.stands("orthanc web inside TLS", "http", secured.port)
        yield


@contextlib.contextmanager
def _web(made: Estate) -> Iterator[None]:
    """Listings and WebDAV."""
    inside, folder = made.inside, made.folder
    named = made.served("web folder of the scope")
    with (
        nginx_listing(inside, folder, made.served("nginx")) as nginx,
        apache(inside, folder, made.served("apache"), webdav=True) as davs,
        http_server(inside, folder, made.served("http.server")) as python,
        wsgidav(inside, folder, made.served("wsgidav")) as dav,
        nginx_listing(inside, folder, named) as shared,
    ):
        for name, here in (("nginx", nginx), ("apache", davs), ("http.server", python), ("wsgidav", dav)):
            made.stands(name, "http", here.port)
        made.urls.append(f"http://{shared}/")
        made.at["web folder"] = shared.port
        yield


@contextlib.contextmanager
def _portals(made: Estate) -> Iterator[None]:
    """HAPI, and the page of a viewer before the Orthanc."""
    config = VIEWER.format(word=made.word("viewer: configuration"))
    words = {name: made.word(f"HAPI: {name}") for name in ("family", "description")}
    place = made.folder / "viewer"
    place.mkdir()
    assert CATALINA_HOME.is_dir()
    with (
        hapi(made.inside, made.folder, studies=IMAGES, patients=IMAGES, **words) as fhir,
        viewer(made.inside, place, made.at["orthanc web"], config) as portal,
    ):
        page = place / "pages" / "ohif" / "index.html"
        page.write_text(page.read_text().replace("<body>", f"<body><p>{made.word('viewer: page')}</p>"))
        made.stands("HAPI", "http", fhir)
        made.stands("viewer", "http", portal)
        yield


@contextlib.contextmanager
def _ftp(made: Estate) -> Iterator[None]:
    banner = made.word("vsftpd: banner")
    message = {"ftpd_banner": banner, "dirmessage_enable": "YES"}
    with (
        vsftpd(made.inside, made.folder, made.served("vsftpd"), **message) as plain,
        proftpd(made.inside, made.folder, made.served("proftpd")) as named,
    ):
        made.stands("vsftpd", "ftp", plain)
        made.stands("proftpd", "ftp", named)
        yield


@contextlib.contextmanager
def _shares(made: Estate) -> Iterator[None]:
    """SMB, NFS, rsync."""
    (smb_port,) = free_ports(1)
    inside, folder = made.inside, made.folder
    share = {"path": made.served("smb"), "guest ok": "yes", "comment": made.word("smb: comment of a share")}
    shares = {"public": share, made.word("smb: name of a share"): share}
    exported = made.served("nfs", made.word("nfs: path of an export"))
    module = f"path = {made.served('rsync')}\ncomment = {made.word('rsync: comment of a module')}\n"
    modules = f"[public]\n{module}[{made.word('rsync: name of a module')}]\n{module}"
    own = {name: made.word(f"smb: {name}") for name in ("server_string", "netbios_name", "workgroup")}
    with (
        smbd(inside, folder / "samba", smb_port, shares, **own),
        portmapper(inside, folder),
        ganesha(inside, folder, Export(path=exported, pseudo=f"/{made.word('nfs: pseudo path')}")),
        rsyncd(inside, folder, modules) as rsync,
    ):
        for door, port in (("smb", smb_port), ("nfs", NFS_PORT), ("rsync", rsync)):
            made.stands(door, door, port)
        yield


@contextlib.contextmanager
def _stores(made: Estate) -> Iterator[None]:
    """Buckets: keys, and errors that repeat them."""
    objects = {kind: _objects(made, kind) for kind in ("s3", "az", "gs")}
    with (
        seaweedfs(made.inside, made.folder, {"scans": objects["s3"]}, {"scans": (LIST, READ)}) as s3,
        azurite(made.inside, made.folder, {("scans", LISTED): objects["az"]}) as az,
        fake_gcs(made.inside, made.folder, {"scans": objects["gs"]}) as gs,
    ):
        for kind, name, here in (("s3", "scans", s3), ("az", f"{ACCOUNT}/scans", az), ("gs", "scans", gs)):
            made.buckets[kind] = f"{kind}://{name}@http://{here}"
            made.at[kind] = here.port
        yield


def _objects(made: Estate, kind: str) -> dict[str, bytes]:
    below = f"{made.word(f'{kind}: folder of keys')}^JOHN"
    images = {f"{below}/{number}.dcm": data for number, data in enumerate(made.images(kind))}
    return {**images, f"{made.word(f'{kind}: key')}.txt": made.word(f"{kind}: object").encode()}


@contextlib.contextmanager
def _talkers(made: Estate) -> Iterator[None]:
    """iSCSI, and the fakes."""
    control = ("env", f"TGT_IPC_SOCKET={made.folder / 'tgt'}")
    target = f"iqn.2026-11.invalid:{made.word('iscsi: target')}"
    admin = (*control, "tgtadm", "--lld", "iscsi", "--mode", "target", "--tid", 1, "--op")
    daemon = (*control, "tgtd", "-f", "--iscsi", f"portal=127.0.0.1:{ISCSI_PORT}")
    with made.inside.serving(ISCSI_PORT, *daemon, log=made.folder / "tgtd.log"), _fakes(made):
        created = made.inside.run(*admin, "new", "-T", target)
        assert created.returncode == 0, created.stderr
        made.stands("iscsi", "iscsi", ISCSI_PORT)
        try:
            yield
        finally:
            made.inside.run(*admin, "delete")  # else it does not end


@contextlib.contextmanager
def _fakes(made: Estate) -> Iterator[None]:
    from talkative import FAKED, PLACES

    ports = dict(zip(FAKED, free_ports(len(FAKED)), strict=True))
    words = [f"{place}={made.word(f'talkative: {place}')}" for place in PLACES]
    command: Sequence[object] = (sys.executable, FAKES, *ports.values(), *words)
    with made.inside.serving(ports[FAKED[-1]], *command, log=made.folder / "talkative.log"):
        for name, port in ports.items():
            made.stands(f"talkative {name}", "http" if name != "hl7" else "hl7", port)
        yield


def _here(port: int) -> Endpoint:
    from ipaddress import ip_address

    return Endpoint(address=ip_address("127.0.0.1"), port=port)
