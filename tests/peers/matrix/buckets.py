"""Object stores: buckets with six images of three studies, a letter and a text; and a folder of a web server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from object_stores import ACCOUNT, LIST, LISTED, PRIVATE, READ, READABLE, azurite, fake_gcs, seaweedfs
from real_servers import Namespace, as_file, instance
from web_servers import rclone

from hostile.test_hostile_buckets import Answer, a_flood, bomb, endless, folders_without_end, saying, shouting
from leadapron.model import Endpoint, Reason, Stage
from matrix.cells import PROVEN, REFUSED, UNKNOWN, Cell, Hostile, Peer, Start, State, exact, no_service
from matrix.starting import hanging_up

OBJECTS = {
    **{
        f"dicom/SYNTHETIC^{study}/image {number}.dcm": as_file(instance(study, 0, number))
        for study in range(3)
        for number in range(1 + study)
    },
    "SYNTHETIC letter.txt": b"a made-up letter",
    "dicom/readme": b"nothing",
}

ANYONE = {"scans": (LIST, READ), "listed": (LIST,), "readable": (READ,)}
CONTAINERS = {("open", LISTED): OBJECTS, ("blobs", READABLE): OBJECTS, ("private", PRIVATE): OBJECTS}


def rclone_s3(*, locked: bool) -> Start:
    @contextlib.contextmanager
    def start(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
        for key, content in OBJECTS.items():
            file = folder / "tree" / "scans" / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        with rclone(inside, folder, folder / "tree", "s3", locked=locked) as here:
            yield here

    return start


OPEN: dict[str, Any] = {
    "state": State.OPEN,
    "list": PROVEN,
    "read": PROVEN,
    "studies": exact(3),
    "images": exact(6),
    "controls": frozenset({"LA-03", "LA-43"}),
}
LOCKED: dict[str, Any] = {"state": State.LOCKED, "list": REFUSED}

PEERS = [
    Peer(
        server="SeaweedFS",
        start=lambda inside, folder: seaweedfs(
            inside, folder, dict.fromkeys(("scans", "listed", "readable", "closed"), OBJECTS), ANYONE
        ),
        named=[f"s3://{name}@http://{{here}}" for name in ("scans", "listed", "readable", "closed")],
        cells=(
            Cell(resource="s3://scans", what="anyone lists and reads", **OPEN),
            Cell(
                state=State.OPEN,
                resource="s3://listed",
                what="anyone lists",
                list=PROVEN,
                read=REFUSED,
                why=frozenset({(Stage.COUNT, Reason.AUTH), (Stage.CENSUS, Reason.AUTH)}),
                controls=frozenset({"LA-03", "LA-43"}),
            ),
            Cell(resource="s3://readable", what="anyone reads who knows the name", **LOCKED),
            Cell(resource="s3://closed", what="nobody", **LOCKED),
        ),
    ),
    Peer(
        server="Azurite",
        start=lambda inside, folder: azurite(inside, folder, CONTAINERS),
        named=[f"az://{ACCOUNT}/{name}@http://{{here}}" for name in ("open", "blobs", "private")],
        cells=(
            Cell(resource=f"az://{ACCOUNT}/open", what="public access: container", **OPEN),
            Cell(resource=f"az://{ACCOUNT}/blobs", what="public access: blob", **LOCKED),
            Cell(resource=f"az://{ACCOUNT}/private", what="no public access", **LOCKED),
        ),
    ),
    Peer(
        server="fake-gcs-server",
        start=lambda inside, folder: fake_gcs(inside, folder, {"scans": OBJECTS}),
        named=["gs://scans@http://{here}"],
        cells=(Cell(resource="gs://scans", **OPEN),),
    ),
    Peer(
        server="rclone serve s3",
        start=rclone_s3(locked=False),
        named=["s3://scans@http://{here}"],
        cells=(Cell(resource="s3://scans", **OPEN),),
    ),
    Peer(
        server="rclone serve s3, for who has the key: answers 400",
        start=rclone_s3(locked=True),
        named=["s3://scans@http://{here}"],
        cells=(
            Cell(
                state=State.LOCKED,
                resource="s3://scans",
                list=UNKNOWN,
                why=frozenset({(Stage.LIST, Reason.PROTOCOL)}),
            ),
        ),
    ),
]


def store(server: str, answer: Callable[[], Answer], **seen: Any) -> Hostile:
    cell = Cell(state=State.HOSTILE, resource="s3://scans", **seen)
    return Hostile(server=server, serve=lambda: saying(answer()), cells=(cell,), named=["s3://scans@http://{here}"])


HOSTILE = [
    Hostile(
        server="hangs up",
        serve=hanging_up,
        cells=(Cell(state=State.HOSTILE, **no_service(Stage.HANDSHAKE, Reason.RESET)),),
        named=["s3://scans@http://{here}"],
    ),
    store(
        "keys without an end, too small for images",
        endless,
        list=PROVEN,
        why=frozenset({(Stage.COUNT, Reason.BUDGET)}),
        controls=frozenset({"LA-03", "LA-43"}),
    ),
    store(
        "folders in each other without an end",
        folders_without_end,
        list=PROVEN,
        why=frozenset({(Stage.COUNT, Reason.LIMIT)}),
    ),
    store("a document type with entities", bomb, list=UNKNOWN, why=frozenset({(Stage.LIST, Reason.PROTOCOL)})),
    store("a page without an end", a_flood, list=UNKNOWN, why=frozenset({(Stage.LIST, Reason.LIMIT)})),
    store(
        "an error with a patient in each of its texts",
        shouting,
        list=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.PROTOCOL)}),
    ),
]
