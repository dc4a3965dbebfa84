"""Opening and closing of a run: the scope, the store, the audit log, the gate, signals, and what is left if we stop."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from leadapron import __version__
from leadapron.assess.catalogue import catalogue_version
from leadapron.attribute.place import opened
from leadapron.errors import InputError
from leadapron.model import Finding, Method, Pin, Run, Stage, Unknown
from leadapron.net.resolve import resolve
from leadapron.pipeline import Audit
from leadapron.pipeline_control import Control, Options, Progress
from leadapron.pipeline_terms import FULL_ANSWERS, FULL_SECONDS
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope, load_scope
from leadapron.scope.policy import nowhere
from leadapron.scope.watch import ScopeWatch
from leadapron.settings import data_directory, make_private_directory
from leadapron.store.database import server_endpoint
from leadapron.store.store import Store


def audit_scope(
    path: Path, *, url: str, resume: bool, options: Options, progress: Progress
) -> tuple[Run, list[Finding]]:
    """Audit the scope file at `path` into the store at `url`; go on with the last unfinished run if `resume`.

    Raises InputError (also ScopeErrors, StoreError) before anything is touched.
    """
    scope = load_scope(path)
    _check_store(scope, url)
    with Store.open(url) as store, opened(scope.attribution) as attribution:
        method = _method(scope, options)
        run = _resumed(store, scope) if resume else _new(scope, method)
        directory = _directory(run)
        stop_file = directory / "stop"
        gate = Gate(scope, pins={pin.name: pin.addresses for pin in run.pins if pin.addresses})
        unresolved = [
            Unknown(endpoint=pin.name, stage=Stage.CONNECT, reason=pin.reason) for pin in run.pins if pin.reason
        ]
        with contextlib.closing(AuditLog.open(directory / "audit.jsonl")) as audit_log:
            if not resume:  # only now: a run that cannot be logged leaves no trace of one
                store.create_run(run, permutation_key=secrets.token_hex(16))
            store.update_method(run.id, method, catalogue_version())
            store.update_data(run.id, attribution.sources)
            stop_file.unlink(missing_ok=True)  # only now: until the log is ours it may be meant for another process
            for pin in run.pins:
                audit_log.write("name", name=pin.name, addresses=[str(address) for address in pin.addresses])
            control = Control(ScopeWatch(path, gate), stop_file, audit_log)
            audit = Audit(
                scope=scope,
                gate=gate,
                store=store,
                run=run,
                audit_log=audit_log,
                control=control,
                progress=progress,
                options=options,
                unresolved=unresolved,
                attribution=attribution,
            )
            with _signals(control):
                finished = audit.execute()
        return finished, store.findings(finished.id)


def _directory(run: Run) -> Path:
    """Where the run's audit log and control files lie."""
    path = data_directory() / "runs" / run.id
    try:
        return make_private_directory(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; LEADAPRON_DATA names another data directory") from None


def _method(scope: Scope, options: Options) -> Method:
    pace, budget = scope.pace, scope.budget
    return Method(
        connections_per_second=pace.connections_per_second,
        per_network=pace.per_network,
        associations=budget.associations,
        queries=budget.queries,
        answers=FULL_ANSWERS if options.full else budget.answers,
        seconds=FULL_SECONDS if options.full else budget.seconds,
    )


def _new(scope: Scope, method: Method) -> Run:
    """A run that is not in the store yet."""
    pins = _pins(scope)
    _check_infrastructure(scope, pins)
    now = dt.datetime.now(dt.UTC)
    return Run(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        kind="audit",
        scope_id=scope.id,
        scope_sha256=scope.sha256,
        vantage=scope.vantage,
        version=__version__,
        started_at=now,
        ports=scope.ports.dicom,
        method=method,
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


def _check_store(scope: Scope, url: str) -> None:
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
