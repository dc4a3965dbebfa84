"""Opening a run, and opening it again."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from audits import Silent
from leadapron import pipeline_run
from leadapron.errors import InputError
from leadapron.model import Address, Endpoint, Reason, Run, Stage, Unknown
from leadapron.pipeline import Audit
from leadapron.pipeline_control import Options
from leadapron.report.messages import messages
from leadapron.report.method import sources
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.decision import Denial, Denied
from leadapron.scope.exclusions import add_exclusions
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Exclusion
from leadapron.store import tables
from leadapron.store.store import Store
from mmdb_files import COUNTRIES, write_mmdb
from scope_file import write_scope

Answer = tuple[dict[str, tuple[Address, ...]], tuple[Unknown, ...]]


def test_names_keep_their_addresses_when_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the permutation would be one of other targets, and what was never asked would count as done."""
    lost = Unknown(endpoint="gone.hospital.example", stage=Stage.CONNECT, reason=Reason.TIMEOUT)
    answers: list[Answer] = [
        ({"pacs.hospital.example": (ip_address("127.0.0.9"), ip_address("::1"))}, (lost,)),
        (
            {
                "pacs.hospital.example": (ip_address("127.0.0.10"),),
                "gone.hospital.example": (ip_address("127.0.0.11"),),
            },
            (),
        ),
    ]
    asked: list[list[str]] = []

    def resolve(names: Iterable[str]) -> Answer:
        asked.append(sorted(names))
        return answers[len(asked) - 1]

    seen: list[tuple[object, object]] = []

    def execute(audit: Audit) -> Run:
        seen.append((dict(audit.gate.pins), list(audit.unresolved)))
        return audit.run_

    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pipeline_run, "resolve", resolve)
    monkeypatch.setattr(Audit, "execute", execute)
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.8/32"], ports=[104])
    scope.write_text(
        scope.read_text().replace(
            "called_aets = []", 'called_aets = []\nnames = ["pacs.hospital.example", "gone.hospital.example"]'
        )
    )

    for resume in (False, True):
        pipeline_run.audit_scope(
            scope, url=f"sqlite:///{tmp_path / 's.db'}", resume=resume, options=Options(), progress=Silent()
        )

    assert asked == [["gone.hospital.example", "pacs.hospital.example"]]
    (log,) = (tmp_path / "data" / "runs").glob("*/audit.jsonl")
    told = [json.loads(line)["facts"] for line in log.read_text().splitlines()]
    pinned = {"name": "pacs.hospital.example", "addresses": ["127.0.0.9", "::1"]}
    assert told == 2 * [pinned, {"name": "gone.hospital.example", "addresses": []}]
    assert seen[0] == seen[1] == ({"pacs.hospital.example": (ip_address("127.0.0.9"), ip_address("::1"))}, [lost])


def with_infrastructure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer) -> Path:
    """A scope with one name of its own on a port of targets, and one on another; `answer` is what resolving gives."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pipeline_run, "resolve", lambda _: answer)
    ours = '[infrastructure]\nallow = ["pacsdb.example:104", "db.example:5432"]\n'
    return write_scope(tmp_path / "scope.toml", networks=["127.0.0.0/24"], ports=[104], extra=ours)


def test_infrastructure_by_name_is_pinned_reached_and_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Unknown(endpoint="db.example", stage=Stage.CONNECT, reason=Reason.EMPTY)
    address = ip_address("127.0.0.50")
    scope = with_infrastructure(tmp_path, monkeypatch, ({"pacsdb.example": (address,)}, (lost,)))
    seen: list[Audit] = []
    monkeypatch.setattr(Audit, "execute", lambda audit: seen.append(audit) or audit.run_)

    pipeline_run.audit_scope(
        scope, url=f"sqlite:///{tmp_path / 's.db'}", resume=False, options=Options(), progress=Silent()
    )

    (audit,) = seen
    denial = audit.gate.decide(address, 104)
    assert isinstance(denial, Denial)
    assert denial.reason is Denied.EXCLUDED
    assert audit.gate.dial_allowed("127.0.0.50", 104) is None
    assert audit.unresolved == [lost]


@pytest.mark.parametrize("resume", [False, True])
def test_infrastructure_that_could_be_any_target_lets_no_run_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    lost = Unknown(endpoint="pacsdb.example", stage=Stage.CONNECT, reason=Reason.TIMEOUT)
    scope, url = with_infrastructure(tmp_path, monkeypatch, ({}, (lost,))), f"sqlite:///{tmp_path / 's.db'}"
    if resume:
        monkeypatch.setattr(pipeline_run, "_check_infrastructure", lambda *_: None)
        monkeypatch.setattr(Audit, "execute", lambda audit: audit.run_)
        pipeline_run.audit_scope(scope, url=url, resume=False, options=Options(), progress=Silent())
        monkeypatch.undo()
        monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))

    with pytest.raises(InputError, match=r"pacsdb\.example of \[infrastructure\] has no address"):
        pipeline_run.audit_scope(scope, url=url, resume=resume, options=Options(), progress=Silent())

    with Store.open(url) as store:
        assert len(store.runs()) == int(resume)


@pytest.mark.parametrize("broken", ["directory", "log"])
def test_a_run_that_cannot_be_logged_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise {
            "directory": OSError(30, "Read-only file system"),
            "log": InputError("audit.jsonl: Read-only file system"),
        }[broken]

    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(
        *{"directory": (pipeline_run, "make_private_directory"), "log": (AuditLog, "open")}[broken], refuse
    )
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.8/32"], ports=[104])
    url = f"sqlite:///{tmp_path / 's.db'}"
    Store.open(url).close()

    with pytest.raises(InputError, match="Read-only file system"):
        pipeline_run.audit_scope(scope, url=url, resume=False, options=Options(), progress=Silent())

    with Store.open(url) as store:
        assert store.runs() == []


def test_a_run_names_the_catalogue_that_it_was_judged_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(Audit, "execute", lambda audit: audit.run_)
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.8/32"], ports=[104])
    url = f"sqlite:///{tmp_path / 's.db'}"
    named = []
    for version in ("first", "second"):
        monkeypatch.setattr(pipeline_run, "catalogue_version", lambda version=version: version)
        pipeline_run.audit_scope(scope, url=url, resume=version == "second", options=Options(), progress=Silent())
        with Store.open(url) as store:
            named.append(store.run().catalogue)

    assert named == ["first", "second"]


def test_a_run_names_the_sources_of_its_countries_also_when_it_goes_on_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    asked: list[str] = []

    def execute(audit: Audit) -> Run:
        audited = audit.terms.at(Endpoint(address=ip_address("8.8.8.8"), port=104))
        asked.append(audited.owner.country)
        return audit.run_

    monkeypatch.setattr(Audit, "execute", execute)
    write_mmdb(tmp_path / "own.mmdb", COUNTRIES)
    extra = '[attribution]\ncountry = "own.mmdb"\n'
    scope = write_scope(tmp_path / "scope.toml", networks=["8.8.8.8/32"], ports=[104], extra=extra)
    url = f"sqlite:///{tmp_path / 's.db'}"
    named = []
    for resume in (False, True):
        if resume:
            write_mmdb(tmp_path / "own.mmdb", {"8.8.8.0/24": {"country_code": "FR"}}, name="Newer")
        pipeline_run.audit_scope(scope, url=url, resume=resume, options=Options(), progress=Silent())
        with Store.open(url) as store:
            named.append(store.run().data)

    assert named == [{"country": "Test-Country, 2026-11-20"}, {"country": "Newer, 2026-11-20"}]
    assert asked == ["CH", "FR"]


def test_what_a_run_that_never_goes_on_left_behind_is_gone_when_the_next_one_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed, and that another audit followed: its key, and the lists that are hashed under it. One that may
    go on keeps both; so does one under way on another machine, into the same store."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    scope, url = (
        write_scope(tmp_path / "scope.toml", networks=["127.0.0.8/32"], ports=[1]),
        f"sqlite:///{tmp_path}/s.db",
    )
    endpoint = Endpoint(address=ip_address("127.0.0.8"), port=1)

    def audit() -> Run:
        return pipeline_run.audit_scope(scope, url=url, resume=False, options=Options(), progress=Silent())[0]

    def leave(audit: Audit) -> Run:
        audit.store.record_attempt(audit.run_.id, endpoint, "dicom", "ask:X", {"inquiry": {}}, shown=b"x" * 12)
        return audit.run_

    def left(run: Run) -> tuple[bool, int]:
        with Store.open(url) as store:
            kept = len(list(store.shown_studies(run.id)))
        return (tmp_path / "data" / "runs" / run.id / "key").exists(), kept

    monkeypatch.setattr(Audit, "execute", leave)
    elsewhere, killed, last = audit(), audit(), audit()
    assert left(killed) == (False, 0), "another audit followed"
    assert left(last) == (True, 1)
    with Store.open(url) as store:
        store.record_attempt(elsewhere.id, endpoint, "dicom", "ask:Y", {"inquiry": {}}, shown=b"y" * 12)
    shutil.rmtree(tmp_path / "data" / "runs" / elsewhere.id)
    audit()
    assert left(last) == (False, 0)
    assert left(elsewhere)[1] == 1


def test_a_run_of_an_earlier_order_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it counted as done would be other targets."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(Audit, "execute", lambda audit: audit.run_)
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.8/32"], ports=[104])
    url = f"sqlite:///{tmp_path / 's.db'}"

    def go_on(*, resume: bool) -> Run:
        return pipeline_run.audit_scope(scope, url=url, resume=resume, options=Options(), progress=Silent())[0]

    run = go_on(resume=False)
    assert go_on(resume=True).id == run.id
    with Store.open(url) as store, store._engine.begin() as connection:
        connection.execute(tables.runs.update().values(permutation_key="5a" * 16))
    with pytest.raises(InputError, match=r"scope\.toml: run .* earlier version.*without --resume"):
        go_on(resume=True)


DELEGATED = """\
2|ripencc|1790287199|1|19830705|20261126|+0100
ripencc|*|ipv4|*|1|summary
ripencc|DE|ipv4|11.0.0.0|1536|20100712|allocated|x
"""


def survey(folder: Path, granted: str) -> Path:
    """The scope of a survey, with an empty file of exclusions."""
    (folder / "page.txt").write_text("What this is.")
    (folder / "exclusions.txt").touch()
    (folder / "delegated").write_text(DELEGATED)
    extra = '[survey]\nopt_out = "no@cert.example"\npage = "page.txt"\nexclusions = "exclusions.txt"\n'
    scope = write_scope(folder / "scope.toml", networks=[], ports=[104], depth="talk", granted=granted, extra=extra)
    scope.write_text(scope.read_text().replace("networks = []\n", ""))
    return scope


def test_a_run_names_the_file_that_its_networks_were_taken_from_and_goes_on_with_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permutation is one of the addresses of this file."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(Audit, "execute", lambda audit: audit.run_)
    scope = survey(tmp_path, 'wide = true\ncountries = ["DE"]\nsnapshot = "delegated"\n')
    url = f"sqlite:///{tmp_path / 's.db'}"
    for resume in (False, True):
        pipeline_run.audit_scope(scope, url=url, resume=resume, options=Options(), progress=Silent())

    with Store.open(url) as store:
        (run,) = store.runs()
    sha256 = hashlib.sha256(DELEGATED.encode()).hexdigest()
    taken = f"DE: delegated (ripencc, 2026-11-26), SHA-256 {sha256}, 2 networks, 1,536 IPv4 addresses"
    assert run.data["snapshot.g"] == taken
    assert sources(messages("en"), run)[-1] == ("Networks of grant g", taken)
    assert sources(messages("it"), run)[-1] == ("Reti dell'autorizzazione g", taken)

    (tmp_path / "delegated").write_text(DELEGATED.replace("|1536|", "|1024|"))
    with pytest.raises(InputError, match="no unfinished run of this scope"):
        pipeline_run.audit_scope(scope, url=url, resume=True, options=Options(), progress=Silent())


def test_a_run_goes_on_after_a_complaint_in_the_space_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    seen: list[Gate] = []
    monkeypatch.setattr(Audit, "execute", lambda audit: seen.append(audit.gate) or audit.run_)
    scope = survey(tmp_path, 'networks = ["127.0.0.0/24"]')
    url = f"sqlite:///{tmp_path / 's.db'}"

    def audit(*, resume: bool) -> None:
        pipeline_run.audit_scope(scope, url=url, resume=resume, options=Options(), progress=Silent())

    def exclude(network: str) -> None:
        asked = Exclusion(network=ip_network(network), since=dt.datetime.now(dt.UTC), because="asked by mail")
        add_exclusions(tmp_path / "exclusions.txt", [asked])

    exclude("127.0.0.1/32")
    audit(resume=False)
    for network in ("127.0.0.7/32", "127.0.0.128/25"):
        exclude(network)
        audit(resume=True)
    spaces = [gate.intervals(4) for gate in seen]
    assert spaces[0] == spaces[1] == spaces[2]
    assert sum(last - first + 1 for first, last in spaces[0]) == 255
    denied = [[gate.dial_allowed(f"127.0.0.{last}", 104) for last in (1, 7, 200)] for gate in seen]
    assert denied == [
        [Denied.EXCLUDED, None, None],
        [Denied.EXCLUDED, Denied.NARROWED, None],
        [Denied.EXCLUDED, Denied.NARROWED, Denied.NARROWED],
    ]

    audit(resume=False)
    assert sum(last - first + 1 for first, last in seen[3].intervals(4)) == 126
    (tmp_path / "exclusions.txt").write_text("")
    with pytest.raises(
        InputError, match=r"exclusions\.txt: an exclusion that the run began with is not there any more"
    ):
        audit(resume=True)
