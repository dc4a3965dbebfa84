"""One shift of a worker, from taking a seat to leaving it. Knows nothing of how it was called to work."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leadapron import __version__
from leadapron.cluster.luggage import unpack
from leadapron.cluster.order import Order, share_of
from leadapron.cluster.seat import Fenced, Seat
from leadapron.cluster.shift import Work
from leadapron.errors import InputError, LeadApronError, StoreError
from leadapron.pipeline import Audit
from leadapron.pipeline_control import Control, Unseen
from leadapron.pipeline_method import method_of
from leadapron.pipeline_run import check_store, gate_of
from leadapron.scope.audit_log import AuditLog, in_use
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import arm
from leadapron.scope.watch import ScopeWatch
from leadapron.settings import data_directory, make_private_directory
from leadapron.store.held import HeldStore
from leadapron.store.leases import LIFE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    order: Order
    holder: str
    folder: Path
    store: HeldStore
    book: AuditLog
    audit: Audit


def work(
    order: Order,
    *,
    worker: str,
    is_cut_off: Callable[[], bool] = lambda: False,
    on_stuck: Callable[[], object] = lambda: None,
    life: float = LIFE,
) -> str:
    """Work until the run has nothing more to do, or is to stop. Returns why this shift ended before; "" where it did not, or
    was told to, or found no free seat.

    `worker` is the name of this one; `is_cut_off` and `on_stuck` as in `Seat`. Arms the audit hook of this process.
    """
    try:
        with _prepared(order) as shift:
            since = time.monotonic()
            if shift.store.leases.sit(shift.holder, worker, life=life) is None:
                return ""
            return _carried_out(shift, since, is_cut_off, on_stuck, life)
    except LeadApronError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or 'this worker'}: {error.strerror}"


# -- before ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _prepared(order: Order) -> Iterator[_Shift]:
    """Everything that can fail before a seat is taken. Raises LeadApronError, OSError."""
    holder = secrets.token_hex(16)
    directory = make_private_directory(data_directory() / "runs" / order.run / "shifts")
    with contextlib.ExitStack() as stack:
        book = stack.enter_context(AuditLog.open(directory / f"{holder}.jsonl"))
        _forget_files(directory)
        folder = make_private_directory(directory / f"{holder}.files")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        store = stack.enter_context(contextlib.closing(HeldStore.open_held(order.store, order.run, holder)))
        audit = _audit(order, store, book, folder)
        yield _Shift(order=order, holder=holder, folder=folder, store=store, book=book, audit=audit)


def _forget_files(directory: Path) -> None:
    """Of shifts that were killed: keys of clients are among them."""
    for folder in directory.glob("*.files"):
        if not in_use(folder.with_suffix(".jsonl")):
            shutil.rmtree(folder, ignore_errors=True)


def _audit(order: Order, store: HeldStore, book: AuditLog, folder: Path) -> Audit:
    """All that a run is, by this worker's own reading of the scope, at its share of the pace. Raises InputError."""
    if order.version != __version__:
        raise InputError(
            f"this worker is of version {__version__}, its coordinator of {order.version}; update one of them"
        )
    run = store.run(order.run)
    path = unpack(order.luggage, folder / "scope")
    scope = load_scope(path, today=run.started_at.date())
    if scope.sha256 != run.scope_sha256:
        raise InputError("the scope of the order is not that of the run")
    check_store(scope, order.store)
    method_of(scope)
    gate = gate_of(scope, run)
    return Audit(
        scope=share_of(scope, order.seats),
        gate=gate,
        store=store,
        run=run,
        audit_log=book,
        control=Control(ScopeWatch(path, gate), folder / "stop", book),
        progress=Unseen(),
        options=order.options,
        key=order.key,
        folder=folder,
    )


# -- on the seat -------------------------------------------------------------------------------------------------------


def _carried_out(
    shift: _Shift, since: float, is_cut_off: Callable[[], bool], on_stuck: Callable[[], object], life: float
) -> str:
    audit, told = shift.audit, list[str]()

    def end(why: str) -> None:
        """From another thread. A sweep in a process of its own sees the file even while this process is held up."""
        told.append(why)
        audit.control.request(why)
        audit.control.stop_file.touch()

    exclusions = shift.order.luggage.exclusions
    seat = Seat(
        shift.store.leases,
        shift.holder,
        shift.book,
        on_end=end,
        rounds=lambda: _rounds(audit),
        since=since,
        exclusions=shift.folder / "scope" / exclusions if exclusions else None,
        is_cut_off=is_cut_off,
        on_stuck=on_stuck,
        life=life,
    )
    why = ""
    try:
        _at_work(shift, seat)
    except StoreError as error:
        why = f"the seat was lost with the store: {error}"
    except LeadApronError as error:
        why = str(error)
    finally:
        seat.close()
        audit.way_out.close()
    why = (why or audit.control.why) if seat.is_lost or not told else ""
    with contextlib.suppress(LeadApronError):  # who cannot be told will notice
        shift.book.write("shift_over", holder=shift.holder, why=why or audit.control.why)
        shift.store.leases.leave(
            shift.holder, why=why, entries=shift.book.entries, head=shift.book.head, rounds=_rounds(audit)
        )
    return why


def _at_work(shift: _Shift, seat: Seat) -> None:
    """Raises RunStopped, StoreError."""
    audit = shift.audit
    arm(Fenced(audit.gate, seat), on_denied=audit.context.denied)
    scope_sha256, exclusions_sha256 = audit.scope.digests
    shift.book.write(
        "shift",
        run=audit.run_.id,
        holder=shift.holder,
        scope_sha256=scope_sha256,
        exclusions_sha256=exclusions_sha256,
        version=__version__,
    )
    seat.begin()
    audit.way_out.begin(audit.control.request)
    asyncio.run(Work(audit, shift.store, seat).run())
    audit.way_out.end()


def _rounds(audit: Audit) -> list[dict[str, object]]:
    """What was seen of the listener; JSON."""
    return [
        {"at": each.at.isoformat(), "failed": {str(port): reason.value for port, reason in each.failed.items()}}
        for each in list(audit.way_out.rounds)
    ]
