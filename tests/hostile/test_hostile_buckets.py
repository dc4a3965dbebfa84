"""Stores that mean harm, through every stage of an audit: each ends within its budget, and is a result without a name."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audits import Place
from leadapron.model import Observation, Reason, RunStatus, Verdict
from listening import Serve, listening
from protocols.buckets.made_up_store import response
from scope_file import write_scope

CANARY = "CANARYPATIENT"
BUDGET = "[budget]\nanswers = 3000\nrequests = 60\nseconds = 8\n"
SECONDS = 20.0

Answer = Callable[[bytes], bytes]


def saying(answer: Answer) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(1 << 16):
            for request in sent.split(b"\r\n\r\n")[:-1]:
                writer.write(response(200) if request.startswith(b"HEAD") else answer(request))
            await writer.drain()

    return serve


def page(inner: str, token: object = "") -> bytes:
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return response(200, f"<ListBucketResult>{inner}{more}</ListBucketResult>".encode())


def keys(*names: str) -> str:
    return "".join(f"<Contents><Key>{name}</Key><Size>9</Size></Contents>" for name in names)


def endless() -> Answer:
    numbers = itertools.count(1)
    return lambda _: page(keys(*(f"{CANARY}{next(numbers)}.dcm" for _ in range(1000))), next(numbers))


def folders_without_end() -> Answer:
    """Every folder holds another one."""

    def answer(request: bytes) -> bytes:
        prefix = request.partition(b"prefix=")[2].partition(b"&")[0].partition(b" ")[0].replace(b"%2F", b"/").decode()
        return page(f"<CommonPrefixes><Prefix>{prefix}{CANARY}/</Prefix></CommonPrefixes>")

    return answer


def steps_out() -> Answer:
    return lambda _: page(keys("../other/x.dcm", "/etc/x.dcm", f"{CANARY}/../x.dcm", "a//b.dcm", ".."))


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>"
)


def bomb() -> Answer:
    return lambda _: response(200, BOMB)


def a_flood() -> Answer:
    """One page, of a body that does not end within any budget."""
    return lambda _: response(200, b"<ListBucketResult>" + b"<!-- x -->" * (1 << 20), length=1 << 40)


def shouting() -> Answer:
    """An error with a name in each of its texts."""
    text = f"<Error><Code>{CANARY}</Code><Message>{CANARY}</Message><Key>{CANARY}</Key></Error>".encode()
    return lambda _: response(418, text, f"x-amz-request-id: {CANARY}".encode(), f"Server: {CANARY}".encode())


def audit(folder: Path, serve: Serve) -> tuple[Observation, list[Reason]]:
    with listening(serve) as (here,):
        granted = f'buckets = ["s3://scans@http://{here}"]'
        scope = write_scope(folder / "scope.toml", networks=[], ports=[104], granted=granted, extra=BUDGET)
        began = time.monotonic()
        run, (seen,), _ = Place(folder, scope).run()
        assert time.monotonic() - began < SECONDS
    assert run.status is RunStatus.COMPLETE, run.why
    for file in folder.iterdir():
        assert CANARY.encode() not in file.read_bytes(), file.name
    return seen, [why.reason for why in seen.unknowns]


@pytest.mark.parametrize(
    ("answer", "listed", "reasons"),
    [
        (endless, Verdict.PROVEN, {Reason.BUDGET, Reason.LIMIT}),
        (folders_without_end, Verdict.PROVEN, {Reason.BUDGET, Reason.LIMIT}),
        (steps_out, Verdict.PROVEN, set()),
        (bomb, Verdict.UNKNOWN, {Reason.PROTOCOL}),
        (a_flood, Verdict.UNKNOWN, {Reason.LIMIT}),
        (shouting, Verdict.UNKNOWN, {Reason.PROTOCOL}),
    ],
)
def test_a_store_that_means_harm_is_a_result(
    tmp_path: Path, answer: Callable[[], Answer], listed: Verdict, reasons: set[Reason]
) -> None:
    seen, why = audit(tmp_path, saying(answer()))
    assert seen.access.list is listed
    assert set(why) <= reasons if reasons else True
    assert bool(why) == bool(reasons)
    if answer is steps_out:
        assert seen.facts["files.odd"] >= 3


def test_a_store_that_hangs_up_without_a_word_is_told_so(tmp_path: Path) -> None:
    async def speechless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.transport.abort()

    with listening(speechless) as (here,):
        granted = f'buckets = ["s3://scans@http://{here}"]'
        scope = write_scope(tmp_path / "scope.toml", networks=[], ports=[104], granted=granted, extra=BUDGET)
        _, observations, unknowns = Place(tmp_path, scope).run()
    assert observations == []
    assert (str(here), "handshake", "reset") in unknowns
