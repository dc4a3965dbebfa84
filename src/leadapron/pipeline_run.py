"""Opening and closing of a run: the scope, the store, the audit log, the gate, signals, and what is left if we stop."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leadapron import __version__
from leadapron.assess.catalogue import catalogue, catalogue_version
from leadapron.assess.judge import refuted
from leadapron.attribute.place import opened
from leadapron.discover.inventory import read_inventory
from leadapron.discover.seeds.pairs import Seeds
from leadapron.discover.seeds.read import read_seeds
from leadapron.discover.space import key_of, new_key
from leadapron.errors import InputError
from leadapron.model import (
    AUDIT,
    FINAL,
    SNAPSHOT_OF,
    VERIFY,
    Endpoint,
    Expected,
    Finding,
    Method,
    Pin,
    Reason,
    Run,
    RunStatus,
    SeedFile,
    Stage,
    Unknown,
)
from leadapron.net.resolve import resolve
from leadapron.pipeline import Audit
from leadapron.pipeline_control import Control, Options, Progress
from leadapron.pipeline_delta import SHARES, next_share
from leadapron.pipeline_history import refusals
from leadapron.pipeline_inventory import ABOUT_INVENTORIES
from leadapron.pipeline_key import RunKey
from leadapron.pipeline_method import SYN, method_of
from leadapron.pipeline_terms import BUCKETS, FULL_ANSWERS, FULL_SECONDS
from leadapron.scope.audit_log import AuditLog, in_use
from leadapron.scope.decision import Denial
from leadapron.scope.exclusions import as_begun
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope, load_scope
from leadapron.scope.policy import nowhere, shut_out
from leadapron.scope.watch import ScopeWatch
from leadapron.settings import data_directory, make_private_directory
from leadapron.store import history
from leadapron.store.database import server_endpoint
from leadapron.store.dispositions import check_is_here
from leadapron.store.store import Store


def audit_scope(
    path: Path,
    *,
    url: str,
    resume: bool,
    options: Options,
    progress: Progress,
    inventories: Sequence[Path] = (),
    seeds: Sequence[Path] = (),
    since: str = "",
    shares: int = SHARES,
    made: Callable[..., Audit] = Audit,
) -> tuple[Run, list[Finding]]:
    """Audit the scope file at `path` into the store at `url`; go on with the last unfinished run if `resume`, which keeps
    the inventory that it began with. `made` is another audit than that of one process.

    `seeds`: ask what these files of other scanners name, and nothing else. `since`: ask again what the findings need, and
    sweep the next of so many `shares` of the space that the run of this id swept whole. Raises InputError (also
    ScopeErrors, StoreError) before anything is touched.
    """
    scope = load_scope(path)
    check_store(scope, url)
    method_of(scope)
    expected, found = _expected(inventories), [read_seeds(each, scope.ports.all) for each in seeds]
    files = tuple(map(_seed_file, found))
    with Store.open(url) as store:
        if resume:
            run = _resumed(store, scope)
            _check_seeds(scope, run, files)
        else:
            run = replace(_new(scope, options), inventory=expected, seeds=files)
            if since:
                run = replace(run, delta=next_share(store, run, since, shares, gate_of(scope, run)))
        finished = _conduct(
            run, scope, store, options=options, progress=progress, is_new=not resume, seeds=found, made=made
        )
        return finished, store.findings(finished.id)


def _seed_file(seeds: Seeds) -> SeedFile:
    skipped = {reason.value: count for reason, count in seeds.skipped.items()}
    return SeedFile(kind=seeds.kind.value, sha256=seeds.sha256, pairs=len(seeds), skipped=skipped)


def _check_seeds(scope: Scope, run: Run, files: Sequence[SeedFile]) -> None:
    """A run that goes on asks what it began with. Raises InputError."""
    if [each.sha256 for each in run.seeds] == [each.sha256 for each in files]:
        return
    if not run.seeds:
        raise InputError(f"{scope.path}: run {run.id} was not begun from other scanners; leave out --from")
    raise InputError(
        f"{scope.path}: run {run.id} was begun from other files, or these in another order; give them to --from"
    )


def _expected(inventories: Sequence[Path]) -> tuple[Expected, ...]:
    """Each system that they name, once."""
    return tuple(dict.fromkeys(each for inventory in inventories for each in read_inventory(inventory)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How a finding stands after the run that asked about it."""

    run: Run
    finding: Finding
    is_refuted: bool
    """the run itself saw it refuted; a finding that was closed before stays closed without"""


def verify_finding(
    path: Path, key: str, *, url: str, options: Options, progress: Progress, inventories: Sequence[Path] = ()
) -> Verified:
    """Ask the endpoint of the finding `key` (see `Store.finding`) again, and nothing else of the scope at `path`: a run
    of its own. Raises InputError (also ScopeErrors, StoreError) before anything is touched."""
    scope = load_scope(path)
    check_store(scope, url)
    expected = _expected(inventories)
    with Store.open(url, create=False) as store:
        finding, seen_from = store.finding(key)
        check_is_here(finding)
        if seen_from is not scope.vantage.kind:
            raise InputError(
                f"{path}: finding {finding.key} was seen from vantage {seen_from.value}, and this scope looks from "
                f"{scope.vantage.kind.value}; verify it from where it was seen"
            )
        endpoint = finding.service.endpoint
        if finding.control == ABOUT_INVENTORIES and not expected:
            raise InputError(f"finding {finding.key} is about what an inventory says; give it with --inventory FILE")
        run = replace(_new(scope, options, VERIFY), ports=(endpoint.port,), inventory=expected)
        _check_depth(run, scope, finding)
        finished = _conduct(run, scope, store, options=options, progress=progress, is_new=True, only=endpoint)
        after = next((each for each in store.findings(finished.id) if each.key == finding.key), finding)
        seen = (*store.observations(finished.id), *refusals(store, finished, [finding]))
        is_refuted = history.is_refuted(finding, {each.service: each for each in seen}, refuted)
        return Verified(run=finished, finding=after, is_refuted=is_refuted)


def _check_depth(run: Run, scope: Scope, finding: Finding) -> None:
    """Raises InputError where the scope does not let us see right now whether the finding still is one."""
    control, endpoint = catalogue().get(finding.control), finding.service.endpoint
    if control is None:
        raise InputError(f"finding {finding.key} is of {finding.control}, which this version does not know")
    answer = gate_of(scope, run).decide(endpoint.address, endpoint.port, control.depth)
    if isinstance(answer, Denial):
        raise InputError(f"{scope.path}: {endpoint} may not be asked: {answer.explanation}")


def gate_of(scope: Scope, run: Run) -> Gate:
    """Of the space that the run began with, narrowed by the exclusions that came since. Raises InputError."""
    begun = as_begun(scope, run.exclusions, run.exclusions_sha256)
    gate = Gate(begun, pins={pin.name: pin.addresses for pin in run.pins if pin.addresses})
    gate.narrow(scope)
    return gate


def _conduct(
    run: Run,
    scope: Scope,
    store: Store,
    *,
    options: Options,
    progress: Progress,
    is_new: bool,
    only: Endpoint | None = None,
    seeds: Sequence[Seeds] = (),
    made: Callable[..., Audit] = Audit,
) -> Run:
    """From the opening of the log to the end of the run. Raises InputError before anything is touched."""
    directory = _directory(run)
    stop_file, gate, run_key = directory / "stop", gate_of(scope, run), RunKey(directory)
    unresolved = [Unknown(endpoint=pin.name, stage=Stage.CONNECT, reason=pin.reason) for pin in run.pins if pin.reason]
    shut = shut_out(scope, gate.pins, gate.policy)
    unresolved += [Unknown(endpoint=name, stage=Stage.CONNECT, reason=Reason.OUT_OF_SCOPE) for name in shut]
    with (
        opened(scope.attribution) as attribution,
        contextlib.closing(AuditLog.open(directory / "audit.jsonl")) as audit_log,
    ):
        if is_new:  # only now: a run that cannot be logged leaves no trace of one
            key = run_key.make()
            store.create_run(run, permutation_key=store.permutation_key(run.delta.since) if run.delta else new_key())
        else:
            key = run_key.read()
        _forget_superseded(store)
        store.update_method(run.id, _method(scope, options, is_swept=only is None), catalogue_version())
        store.update_data(run.id, {**attribution.sources, **_snapshots(scope)})
        stop_file.unlink(missing_ok=True)  # only now: until the log is ours it may be meant for another process
        for pin in run.pins:
            audit_log.write("name", name=pin.name, addresses=[str(address) for address in pin.addresses])
        control = Control(ScopeWatch(scope.path, gate), stop_file, audit_log)
        audit = made(
            scope=scope,
            gate=gate,
            store=store,
            run=run,
            audit_log=audit_log,
            control=control,
            progress=progress,
            options=options,
            unresolved=[] if only else unresolved,
            attribution=attribution,
            only=only,
            seeds=seeds,
            key=key,
            folder=directory,
        )
        with _signals(control):
            finished = audit.execute()
        if finished.status in FINAL or only is not None:
            run_key.destroy()
            store.forget_shown_studies(run.id)
        return finished


def _snapshots(scope: Scope) -> dict[str, str]:
    """The files that networks were taken from, by grant, with whose networks they are."""
    return {
        f"{SNAPSHOT_OF}{grant.id}": f"{', '.join(grant.taken)}: {grant.snapshot}"
        for grant in scope.grants
        if grant.snapshot is not None
    }


def _forget_superseded(store: Store) -> None:
    """What a run that was killed at its end left behind, or one that a later audit followed: keys, and what is hashed
    under them."""
    for run in store.superseded():
        directory = data_directory() / "runs" / run.id
        may_go_on = (
            run.status is RunStatus.RUNNING and not directory.exists()
        )  # on another machine, into the same store
        if not may_go_on and not in_use(directory / "audit.jsonl"):
            RunKey(directory).destroy()
            store.forget_shown_studies(run.id)


def _directory(run: Run) -> Path:
    """Where the run's audit log and control files lie."""
    path = data_directory() / "runs" / run.id
    try:
        return make_private_directory(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; LEADAPRON_DATA names another data directory") from None


def _method(scope: Scope, options: Options, *, is_swept: bool = True) -> Method:
    """`is_swept`: not only one endpoint is asked, which is by a connection. Raises InputError (see `method_of`)."""
    pace, budget = scope.pace, scope.budget
    return Method(
        connections_per_second=pace.connections_per_second,
        per_network=pace.per_network,
        associations=budget.associations,
        queries=budget.queries,
        answers=FULL_ANSWERS if options.full else budget.answers,
        seconds=FULL_SECONDS if options.full else budget.seconds,
        requests=FULL_ANSWERS if options.full else budget.requests,
        packets_per_second=scope.packets_per_second if is_swept and method_of(scope).method == SYN else 0,
        doors=(*scope.ports.by_door, *((BUCKETS,) if scope.buckets else ())),
    )


def _new(scope: Scope, options: Options, kind: str = AUDIT) -> Run:
    """A run that is not in the store yet."""
    pins = _pins(scope)
    _check_infrastructure(scope, pins)
    now = dt.datetime.now(dt.UTC)
    return Run(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        kind=kind,
        scope_id=scope.id,
        scope_sha256=scope.sha256,
        exclusions=len(scope.exclusions),
        exclusions_sha256=scope.exclusions_sha256,
        vantage=scope.vantage,
        version=__version__,
        started_at=now,
        ports=scope.ports.all,
        method=_method(scope, options, is_swept=kind == AUDIT),
        pins=pins,
        catalogue=catalogue_version(),
    )


def _pins(scope: Scope) -> tuple[Pin, ...]:
    """Every name, resolved: the only time in a run, since the permutation is one of these addresses."""
    found, unresolved = resolve(sorted(scope.names))
    return (
        *(Pin(name=name, addresses=addresses) for name, addresses in found.items()),
        *(Pin(name=unknown.endpoint, reason=unknown.reason) for unknown in unresolved),
    )


def _check_infrastructure(scope: Scope, pins: Sequence[Pin]) -> None:
    """Raises InputError where one of our own endpoints could be among the targets unrecognised."""
    if unknown := nowhere(scope, {pin.name: pin.addresses for pin in pins}):
        raise InputError(
            f"{scope.path}: {unknown[0]} of [infrastructure] has no address, so that it cannot be told from a target; "
            "write its address, or see to it that it resolves"
        )


def check_store(scope: Scope, url: str) -> None:
    """The server of the store is one of our own endpoints. Its driver connects below the audit hook, so this is the only
    place that can say so. Raises InputError, StoreError."""
    endpoint = server_endpoint(url)
    if endpoint is None or endpoint in scope.infrastructure:
        return
    host, port = endpoint
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    raise InputError(
        f'{scope.path}: the server of the store is not in [infrastructure]; add "{shown}" to its allow, '
        "so that it is never a target"
    )


def _resumed(store: Store, scope: Scope) -> Run:
    run = store.resumable_run(scope.sha256, scope.vantage)
    if run is None:
        raise InputError(
            f"{scope.path}: no unfinished run of this scope from this vantage; run `leadapron audit` without --resume"
        )
    try:
        key_of(store.permutation_key(run.id))
    except ValueError:
        raise InputError(
            f"{scope.path}: run {run.id} was begun by an earlier version, which swept in another order; run `leadapron "
            "audit` without --resume"
        ) from None
    _check_infrastructure(scope, run.pins)
    return run


@contextlib.contextmanager
def _signals(control: Control) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop within seconds and keep what was measured; a second Ctrl-C ends at once."""

    def stop(number: int, _frame: object) -> None:
        if control.why and number == signal.SIGINT:
            raise KeyboardInterrupt
        control.request(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
