"""Real imaging servers in a network namespace of our own, without a link outside."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

START_TIMEOUT = 20.0
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def require(*programs: str) -> None:
    """Skip, with the reason, where root or a program is missing."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (tests/apt-packages.txt)")


@dataclass(frozen=True)
class Namespace:
    name: str

    def command(self, *arguments: object) -> list[str]:
        return ["ip", "netns", "exec", self.name, *map(str, arguments)]

    def run(self, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True, timeout=120, **options
        )

    @contextlib.contextmanager
    def serving(self, port: int, *arguments: object, log: Path, cwd: Path | None = None) -> Iterator[None]:
        """A server that listens on `port` of 127.0.0.1, ended by its own process id."""
        with log.open("wb") as output:
            process = subprocess.Popen(self.command(*arguments), stdout=output, stderr=output, cwd=cwd)
            try:
                self.wait_for(port, process, log)
                yield
            finally:
                process.terminate()
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def wait_for(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while f":{port} " not in self.run("ss", "-Hltn").stdout:
            said = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"the server ended before it listened: {said}"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.1)


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace whose only interface is lo; everything in 198.18.0.0/15 answers there too."""
    name = f"la{os.getpid()}x{time.monotonic_ns() % 10**6}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inside = Namespace(name)
        inside.run("ip", "link", "set", "lo", "up")
        inside.run("ip", "route", "replace", "local", "198.18.0.0/15", "dev", "lo", "table", "main")
        links = json.loads(inside.run("ip", "-json", "link").stdout)
        assert [link["ifname"] for link in links] == ["lo"], "the namespace has a way out"
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def free_ports(count: int) -> list[int]:
    """Ports that are free right now; a fresh namespace uses none of them."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def instance(study: int, series: int = 0, number: int = 0, *, is_dated: bool | None = None) -> Dataset:
    """A tiny secondary capture of a made-up patient. Every tenth study has no date, unless it is said of all."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE
    uid = f"2.25.10.{study + 1}.{series + 1}.{number + 1}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"2.25.11.{study + 1}", f"2.25.12.{study + 1}.{series + 1}"
    day = dt.date(2006, 1, 1) + dt.timedelta(days=study * 37 % 7000)
    dataset.StudyDate, dataset.StudyTime = (
        f"{day:%Y%m%d}" if (study % 10 if is_dated is None else is_dated) else "",
        "101010",
    )
    dataset.PatientName, dataset.PatientID = f"SYNTHETIC^{study}", f"SYNTHETIC-{study}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.ReferringPhysicianName = "", "O", ""
    dataset.AccessionNumber, dataset.StudyID, dataset.Modality = f"A{study}", "1", "OT"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.ConversionType = series + 1, number + 1, "WSD"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.Rows = dataset.Columns = 2
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelData = 7, b"\0\0\0\0"
    return dataset


def as_file(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


LOADER = """
import http.client, pickle, sys
port, files = pickle.load(sys.stdin.buffer)
connection = http.client.HTTPConnection("127.0.0.1", port)
for file in files:
    connection.request("POST", "/instances", file)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
"""


def load_orthanc(inside: Namespace, http_port: int, files: list[bytes]) -> None:
    """Post instances to an Orthanc over one connection."""
    import pickle

    command = inside.command(sys.executable, "-c", LOADER)
    subprocess.run(command, input=pickle.dumps((http_port, files)), check=True, timeout=120)


@contextlib.contextmanager
def orthanc(inside: Namespace, folder: Path, port: int, http_port: int, **settings: object) -> Iterator[None]:
    """An Orthanc with its own storage; `settings` are those of its configuration file."""
    storage = folder / f"orthanc-{port}"
    storage.mkdir()
    configuration = {
        "Name": "test",
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "HttpPort": http_port,
        "DicomPort": port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": False,
        "Plugins": [],
        **settings,
    }
    file = folder / f"orthanc-{port}.json"
    file.write_text(json.dumps(configuration))
    with inside.serving(port, "Orthanc", file, log=folder / f"orthanc-{port}.log"):
        yield


__all__ = ["Namespace", "as_file", "free_ports", "http", "instance", "load_orthanc", "namespace", "orthanc", "require"]
