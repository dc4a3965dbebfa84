"""The second law at every door: whatever a peer writes where it may write, nothing of it is kept, logged or shown, in whole
audits with debug logs and in crashes of every parser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from canary_estate import IMAGES, Estate, estate
from canary_files import PLACES_IN_A_FILE
from overheard import overheard
from real_servers import namespace, require

from canaries import files_below
from scope_file import write_scope

pytestmark = pytest.mark.peer

SOURCE, TESTS = Path(__file__).parents[2] / "src", Path(__file__).parents[1]
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def made() -> Iterator[Estate]:
    """Outside of pytest's own folders, which are closed to the users as whom the servers read."""
    require("ip", "ss")
    with (
        tempfile.TemporaryDirectory(prefix="estate-") as folder,
        namespace() as inside,
        estate(inside, Path(folder)) as all_of_them,
    ):
        yield all_of_them


class Searched:
    """Runs of the program in a folder of their own, of which every byte is searched: what lies there, and what was said."""

    def __init__(self, made: Estate, folder: Path) -> None:
        self._made, self.folder = made, folder
        self._said: dict[str, bytes] = {}
        (folder / "tmp").mkdir(parents=True)

    def scope(self, *servers: str, granted: str = "blank_login = true") -> Path:
        """Of these servers, or of all."""
        return write_scope(
            self.folder / "scope.toml",
            networks=["127.0.0.1/32"],
            ports=self._made.ports_of(*servers),
            depth="census",
            cleartext_census=True,
            granted=granted,
        )

    @property
    def environment(self) -> dict[str, str]:
        """No place to write to but the folder."""
        own = {"HOME": str(self.folder), "TMPDIR": "tmp", "LEADAPRON_DATA": "data", "LEADAPRON_STORE": "sqlite:///s.db"}
        return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SOURCE, TESTS))), **own}

    def run(self, *arguments: object, program: Sequence[object] = ("-m", "leadapron")) -> Done:
        command = (sys.executable, *program, "--debug", *arguments)
        done = self._made.inside.run(*command, env=self.environment, cwd=self.folder)
        self._said[f"output {len(self._said)}, of {arguments[0]}"] = (done.stdout + done.stderr).encode()
        return done

    def killed(self, *arguments: object, dials: int) -> None:
        """A run that is killed when it has dialled so often; what it said lies in the folder too."""
        command = self._made.inside.command(sys.executable, "-m", "leadapron", "--debug", *arguments)
        with (
            (self.folder / "output").open("wb") as output,
            subprocess.Popen(command, stdout=output, stderr=output, env=self.environment, cwd=self.folder) as process,
        ):
            while sum(log.read_text().count('"dial"') for log in self.folder.rglob("audit.jsonl")) < dials:
                assert process.poll() is None, "it ended before it was killed"
                time.sleep(0.01)
            process.kill()

    def leaks(self) -> list[str]:
        return self._made.canaries.leaks({**files_below(self.folder), **self._said})


# -- whole audits --------------------------------------------------------------------------------------------------------

FORMATS = (
    *(("--format", kind) for kind in ("html", "json", "csv")),
    ("--format", "html", "--lang", "it"),
    ("--format", "csv", "--rows", "findings"),
    *(("--format", kind, "--public") for kind in ("html", "json", "csv")),
)

OPEN = {
    ("orthanc", "dicom"): 1,
    ("orthanc web", "dicomweb"): 2,
    ("orthanc web", "webdav"): 1,
    ("orthanc web inside TLS", "dicomweb"): 2,
    ("orthanc web inside TLS", "webdav"): 1,
    ("nginx", "listing"): 1,
    ("http.server", "listing"): 1,
    ("apache", "listing"): 1,
    ("apache", "webdav"): 1,
    ("wsgidav", "listing"): 1,
    ("wsgidav", "webdav"): 1,
    ("HAPI", "fhir"): 1,
    ("viewer", "portal"): 1,
    ("vsftpd", "ftp"): 1,
    ("proftpd", "ftp"): 1,
    ("smb", "smb"): 2,
    ("nfs", "nfs"): 1,
    ("rsync", "rsync"): 2,
    ("s3", "buckets"): 1,
    ("az", "buckets"): 1,
    ("gs", "buckets"): 1,
    ("web folder", "buckets"): 1,
    ("talkative listing", "listing"): 1,
    ("talkative listing", "webdav"): 1,
    ("talkative rest", "dicomweb"): 1,
}
"""How many services of each server, by door, must be proven to list."""
WITHOUT_IMAGES = frozenset({"rsync", "fhir"})
WITHOUT_CENSUS = WITHOUT_IMAGES | {"portal"}

UNHEARD = (
    *("letter", "archive", "name of a link", "target of a link", "object"),  # what is not opened
    *("Orthanc: title of a modality", "HAPI: family", "HAPI: description", "iscsi: target"),  # what is not asked for
    *("smb: workgroup", "nfs: pseudo path"),  # what these servers say to others
)
"""Ends of places whose words no server sends to what we ask."""


IN_FOLDERS = ("DICOMDIR, ", "name of a", "target of a link", "archive", "letter")


def is_sent(place: str) -> bool:
    if place.startswith("rsync: "):  # names alone, and of those that begin alike the part that differs
        return not any(each in place for each in (*PLACES_IN_A_FILE, *IN_FOLDERS))
    return not place.endswith(UNHEARD)


def is_as_expected(service: dict[str, Any]) -> bool:
    door, counts, census = service["protocol"], service["counts"], service["census"]
    is_small = counts["images"] is not None and counts["images"]["value"] == 1  # of the fakes
    images = IMAGES if not is_small else 1
    is_counted = door in WITHOUT_IMAGES or counts["images"]["value"] == images
    is_sampled = door in WITHOUT_CENSUS or census["sampled"] == images
    return is_counted and is_sampled


def test_no_canary_of_any_door_is_kept_logged_or_shown(made: Estate, tmp_path: Path) -> None:
    searched = Searched(made, tmp_path / "own")
    named = f"blank_login = true\nbuckets = {list(made.buckets.values())}\nurls = {made.urls}"
    scope = searched.scope(granted=named)

    with overheard(made.inside, tmp_path / "heard"):
        audited = searched.run("audit", scope, "--json")
    report = json.loads(audited.stdout)
    for number, options in enumerate(FORMATS):
        assert searched.run("report", *options, "--output", f"report{number}").returncode == 0, options
    assert searched.run("show").returncode == searched.run("show", "--json").returncode == 0
    keys = {finding["service"]["protocol"]: finding["key"] for finding in report["findings"]}
    for door, key in keys.items():
        assert searched.run("verify", key, scope).returncode == 1, door
    for options in ((), ("--json", "--full")):
        counted = searched.run("files", made.folder / "served-nginx", *options)
        assert f"{IMAGES}" in counted.stdout

    assert audited.returncode == 1, audited.stderr
    proven = [each for each in report["services"] if each["access"]["list"] == "proven"]
    names = {port: name for name, port in made.at.items()}
    assert Counter((names[each["endpoint"]["port"]], each["protocol"]) for each in proven) == OPEN
    assert [each for each in proven if not is_as_expected(each)] == []
    assert keys.keys() >= {
        "dicom",
        "dicomweb",
        "webdav",
        "listing",
        "fhir",
        "portal",
        "ftp",
        "smb",
        "nfs",
        "rsync",
        "buckets",
    }
    heard = made.canaries.found((tmp_path / "heard").read_bytes())
    assert {place for place in made.canaries.places if is_sent(place)} - heard == set()
    written = files_below(searched.folder)
    assert {"s.db", *(f"report{number}" for number in range(len(FORMATS)))} <= written.keys()
    assert any(name.endswith("audit.jsonl") and content for name, content in written.items())
    assert searched.leaks() == []


@pytest.mark.parametrize("dials", [20, 60, 90])
def test_no_canary_is_left_behind_by_a_run_that_is_killed(made: Estate, tmp_path: Path, dials: int) -> None:
    """Then the journals and temporary files of the store are still there, and the key of the run."""
    searched = Searched(made, tmp_path / "own")
    named = f"blank_login = true\nbuckets = {list(made.buckets.values())}\nurls = {made.urls}"
    searched.killed("audit", searched.scope(granted=named), dials=dials)
    assert any(file.stat().st_size for file in searched.folder.glob("s.db-wal"))
    assert searched.leaks() == []


# -- crashes -------------------------------------------------------------------------------------------------------------

BROKEN = Path(__file__).with_name("broken.py")
WITNESS = "talkative hl7"
"""A server that is asked in the same run, and has its verdict whatever happens to the other."""

WALK = (
    *("listing:Listing.take", "listing:Listing._keep_file", "formats:format_of", "reading:Reading.head"),
    *("header:Reader.read", "elements:walk", "dicomdir:read", "dicomdir:_take", "walk:Walk._take"),
)
"""Of the one walk that all doors to files share."""
BUGS: dict[str, tuple[str, ...]] = {
    "orthanc": (
        *("dicom.answers:Answers.receive", "dicom.answers:Answers._data_set", "dicom.answers:Answers._count"),
        *("dicom.census:CensusAnswers._read", "dicom.signs:Signs.take", "dicom.wire.elements:walk"),
    ),
    "orthanc web": (
        *("http.wire:Response.receive", "dicomweb.documents:parsed", "dicomweb.documents:studies"),
        *("dicomweb.documents:orthanc_studies", "dicomweb.documents:records", "dicomweb.documents:_bytes"),
        *("dicomweb.documents:orthanc_version", "webdav.multistatus:Multistatus.feed"),
    ),
    "orthanc web inside TLS": ("tls.certificate:read_certificate", "tls.session:Session.receive"),
    "nginx": ("listing.links:child", "listing.rows:_entry"),
    "wsgidav": ("webdav.multistatus:_Responses._keep", "listing.remote:Reading.gives"),
    "talkative listing": ("http.wire:_head", "http.exchange:_read", "listing.page:Listing.feed"),
    "talkative rest": ("identify.pages:match_page", "fhir.documents:software", "versions:stated_version"),
    "viewer": ("portal.sources:sources", "portal.looking:read"),
    "vsftpd": (
        *("ftp.wire:Replies.receive", "ftp.wire:Replies._line", "ftp.listing:Listing.receive"),
        *("ftp.listing:read_list_line", "ftp.tree:_place"),
    ),
    "proftpd": ("ftp.wire:Replies.receive", "ftp.listing:read_mlsd_line"),
    "smb": (
        *("smb.wire.header:decode", "smb.wire.srvsvc:read", "smb.wire.setup:read_challenge", "smb.wire.file:lines"),
        *("smb.tree:name_of", "files.names:shown_name", *(f"files.{each}" for each in WALK)),
    ),
    "nfs": (
        *("nfs.wire.rpc:read_reply", "nfs.wire.mount:read_exports", "nfs.wire.nfs3:_item"),
        *("nfs.tree:NfsTree._entry",),
    ),
    "rsync": (
        *("rsync.wire:read_module", "rsync.wire:read_answer", "rsync.flist:FileList._entry"),
        *("rsync.tree:RsyncTree._keep",),
    ),
    "s3": ("buckets.xml:read_page", "buckets.xml:_Reader._take", "buckets.tree:_entry"),
    "az": ("buckets.xml:read_page", "buckets.azure:Azure.read"),
    "gs": ("buckets.gcs:_document", "buckets.gcs:_encoded"),
}


def broken(
    searched: Searched, made: Estate, server: str, place: str, how: str = "RuntimeError", *options: str
) -> tuple[Done, str]:
    """An audit of this server and of the witness, and what the broken function was given."""
    granted = (
        f"blank_login = true\nbuckets = {[made.buckets[server]]}" if server in made.buckets else "blank_login = true"
    )
    scope = searched.scope(*({server, WITNESS} - made.buckets.keys()), granted=granted)
    proof = searched.folder.parent / "proof"
    package = "leadapron." if place.startswith(("identify.", "protocols.")) else "leadapron.protocols."
    done = searched.run("audit", scope, "--json", *options, program=(BROKEN, how, proof, package + place))
    return done, proof.read_text()


@pytest.mark.parametrize(("server", "place"), [(server, place) for server, places in BUGS.items() for place in places])
def test_a_crash_is_a_result_without_the_value(made: Estate, tmp_path: Path, server: str, place: str) -> None:
    searched = Searched(made, tmp_path / "own")

    done, given = broken(searched, made, server, place)

    assert made.canaries.found(given.encode())
    assert "RuntimeError at broken.py" in done.stderr
    report = json.loads(done.stdout)
    assert "bug" in {each["reason"] for each in report["unknowns"]}
    (witness,) = [each for each in report["services"] if each["protocol"] == "hl7"]
    assert witness["access"]["talk"] == "proven"
    assert searched.leaks() == []


IN_A_LISTING = ("vsftpd", "ftp.listing:read_list_line")
IN_A_SHARE = ("smb", "smb.tree:name_of")


@pytest.mark.parametrize("how", ["KeyError", "OSError", "UnicodeError", "LookupError, chained"])
def test_whatever_a_bug_raises(made: Estate, tmp_path: Path, how: str) -> None:
    searched = Searched(made, tmp_path / "own")
    done, _ = broken(searched, made, *IN_A_LISTING, how)
    assert "bug" in {each["reason"] for each in json.loads(done.stdout)["unknowns"]}
    assert searched.leaks() == []


@pytest.mark.parametrize("how", ["a warning", "a log line", "a thread", "unraisable"])
def test_what_libraries_say_is_not_shown(made: Estate, tmp_path: Path, how: str) -> None:
    searched = Searched(made, tmp_path / "own")
    done, _ = broken(searched, made, *IN_A_SHARE, how)
    assert done.returncode == 1
    assert "broken.py" in done.stderr, "it is said that, and where, there was something"
    shares = [each for each in json.loads(done.stdout)["services"] if each["protocol"] == "smb"]
    assert "proven" in {each["access"]["list"] for each in shares}
    assert searched.leaks() == []


def test_a_name_that_a_peer_said_is_denied_and_not_logged(made: Estate, tmp_path: Path) -> None:
    searched = Searched(made, tmp_path / "own")
    done, _ = broken(searched, made, *IN_A_LISTING, "a look-up")
    assert done.returncode == 1
    (log,) = searched.folder.rglob("audit.jsonl")
    denied = [json.loads(line)["facts"] for line in log.read_text().splitlines() if '"denied"' in line]
    assert {(each["host"], each["reason"]) for each in denied} == {("a name", "name")}
    assert searched.leaks() == []


@pytest.mark.parametrize("how", ["KeyboardInterrupt", "SystemExit", "GeneratorExit", "a crash of the pipeline"])
def test_what_ends_the_program_ends_it_without_the_value(made: Estate, tmp_path: Path, how: str) -> None:
    searched = Searched(made, tmp_path / "own")
    done, _ = broken(searched, made, *IN_A_SHARE, how)
    assert done.returncode == 3
    assert searched.leaks() == []


@pytest.mark.parametrize("how", ["RuntimeError", "OSError", "KeyboardInterrupt", "a warning", "a log line"])
@pytest.mark.parametrize("place", ["local:LocalTree._piece", *WALK])
def test_a_crash_over_a_local_folder_says_no_name(made: Estate, tmp_path: Path, how: str, place: str) -> None:
    searched = Searched(made, tmp_path / "own")
    proof = tmp_path / "proof"
    program = (BROKEN, how, proof, f"leadapron.protocols.files.{place}")
    done = searched.run("files", made.folder / "served-smb", program=program)
    assert made.canaries.found(proof.read_bytes())
    assert done.returncode == (0 if how.startswith("a ") else 3)
    assert searched.leaks() == []
