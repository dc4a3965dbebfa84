from __future__ import annotations

import datetime as dt
import json
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.errors import InputError, RunStopped
from leadapron.scope.audit_log import GENESIS, TRUNCATED, AuditLog, in_use, verify

NOON = dt.datetime(2026, 11, 20, 13, 30, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=1)))


def written(path: Path) -> bytes:
    path.unlink(missing_ok=True)
    with AuditLog.open(path, clock=lambda: NOON) as log:
        log.write("run", run="r1", scope_sha256="ab" * 32)
        log.write("denied", address="198.18.0.7", port=104, reason="excluded", name="Zürich \u2028")
        log.write("denied_in_sweep", reasons={"window": 3}, rate=0.5, whole=True, zone=None, ports=[104, 11112])
    return path.read_bytes()


def test_entries_are_chained(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = [json.loads(line) for line in written(path).splitlines()]
    assert [line["n"] for line in lines] == [1, 2, 3]
    assert [line["prev"] for line in lines] == [GENESIS, lines[0]["hash"], lines[1]["hash"]]
    assert lines[1]["facts"]["address"] == "198.18.0.7"
    assert lines[0]["time"] == "2026-11-20T12:30:01.000005Z"
    assert verify(path) == (3, lines[2]["hash"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    written(path)
    with AuditLog.open(path) as log:
        assert log.head == verify(path).head
        log.write("resumed")
        assert verify(path) == (4, log.head)


def test_an_empty_log_has_a_head(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path / "a") as log:
        assert log.head == GENESIS
    assert verify(tmp_path / "a") == (0, GENESIS)


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    raw = written(path)
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(InputError, match=f":{raw.count(10, 0, at) + 1}: "):
            verify(path)


@settings(max_examples=60)
@given(st.data())
def test_inserted_removed_and_swapped_bytes_are_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.jsonl"
    raw = written(path)
    at = data.draw(st.integers(0, len(raw) - 1))
    to = data.draw(st.integers(at, len(raw)))
    changed = raw[:at] + data.draw(st.binary(max_size=4)) + raw[to:]
    path.write_bytes(changed)
    heads = {chain[1] for chain in chains(tmp_path_factory.getbasetemp(), raw)}
    if changed == raw:
        assert verify(path).entries == 3
    elif (changed and raw.startswith(changed) and changed.endswith(b"\n")) or not changed:
        assert verify(path).head in heads  # whole lines cut off at the end: the run's head shows it
    else:
        with pytest.raises(InputError):
            verify(path)


def chains(folder: Path, raw: bytes) -> list[tuple[int, str]]:
    lines = raw.splitlines(keepends=True)
    found = []
    for count in range(len(lines) + 1):
        (folder / "part.jsonl").write_bytes(b"".join(lines[:count]))
        found.append(tuple(verify(folder / "part.jsonl")))
    return found  # type: ignore[return-value]


def test_lines_that_change_places_are_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    first, second, third = written(path).splitlines(keepends=True)
    for lines in ([second, first, third], [first, third], [first, second, second, third]):
        path.write_bytes(b"".join(lines))
        with pytest.raises(InputError, match="does not follow"):
            verify(path)


@pytest.mark.parametrize("line", [b"[1]\n", b"\n", b"NaN\n", b'{"n":NaN}\n', b"[" * 100_000 + b"\n", b"x" * (1 << 21)])
def test_foreign_lines_are_found(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "audit.jsonl"
    raw = written(path)
    path.write_bytes(raw + line)
    with pytest.raises(InputError, match=":4: the audit log was changed"):
        verify(path)
    with pytest.raises(InputError, match=":4: the audit log was changed"):
        AuditLog.open(path)


def test_a_line_cut_off_by_a_crash_is_taken_out_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    raw = written(path)
    begin = raw.rindex(b"\n", 0, -1) + 1
    for end in range(begin + 1, len(raw), 17):
        path.write_bytes(raw[:end])
        with pytest.raises(InputError, match=r":3: .*not finished"):
            verify(path)
        with AuditLog.open(path) as log:
            log.write("resumed")
        assert verify(path).entries == 4
        noted = json.loads(path.read_bytes().splitlines()[2])
        assert noted["event"] == TRUNCATED
        assert noted["facts"]["bytes"] == end - begin


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path), pytest.raises(InputError, match="in use"):
        AuditLog.open(path)
    AuditLog.open(path).close()


def test_threads_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog.open(path) as log:
        threads = [threading.Thread(target=lambda: [log.write("x", i=i) for i in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert verify(path).entries == 200


def test_a_loose_mode_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o644)
    AuditLog.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        AuditLog.open(tmp_path / "none" / "audit.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        verify(tmp_path / "none")


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = AuditLog.open(tmp_path / "a")
    log.close()
    log.close()
    with pytest.raises(RunStopped, match="the audit log cannot be written: Bad file descriptor"):
        log.write("late")


def test_a_log_is_in_use_while_it_is_open_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    assert not in_use(path)
    with AuditLog.open(path):
        assert in_use(path)
        assert in_use(path)
    assert not in_use(path)
