"""The first exchange with every endpoint that was reached, in a protocol whose first exchange is the same for all: the
fast path of the wide stages. In other protocols the deep stage makes it.

What came of it is written a few times a second, and before the next connection to the same host is made. Only then does
the deep stage hear of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from leadapron.identify.match import IDENTIFY
from leadapron.model import Address, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.executor import bug
from leadapron.net.feed import Held, Inbox
from leadapron.net.target import Outcome, Target
from leadapron.pipeline_context import Context
from leadapron.pipeline_sweep import NOT_ASKED, WRITE_INTERVAL
from leadapron.protocols.base import Hello, Payload, Protocol
from leadapron.scope.decision import Permit

Greeted = Callable[[Endpoint, Payload], object]
"""Told of each endpoint whose first answer, or whose silence, is written."""


class Greeting:
    """In one protocol. What is put `in` is greeted until it is closed."""

    def __init__(
        self,
        context: Context,
        protocol: Protocol,
        hello: Hello,
        *,
        told: Greeted = lambda *_: None,
        left: Callable[[Endpoint], object] = lambda _: None,
        is_held: Callable[[], bool] = lambda: False,
    ) -> None:
        """`left`: told of who was not asked. `is_held`: who comes next has enough to do."""
        self._context, self._protocol, self._hello = context, protocol, hello
        self._told, self._left, self._is_held = told, left, is_held
        self._inbox = Inbox()
        self._answers: list[tuple[Endpoint, Payload]] = []
        """not written yet, and below from whom"""
        self._unwritten: set[Address] = set()
        context.before_dial.append(self._write_if_from)

    def __len__(self) -> int:
        """How many wait for their greeting."""
        return len(self._inbox)

    def put(self, endpoint: Endpoint) -> None:
        """Those that the gate denies already need not wait for their turn."""
        target = Target(int(endpoint.address), endpoint.address.version, endpoint.port, endpoint)
        self._context.progress.more("identify", 1)
        answer = self._context.gate.decide(endpoint.address, endpoint.port, Depth.TALK)
        if isinstance(answer, Permit):
            self._inbox.put(target)
        else:
            self._context.decided(endpoint, "hello", answer)
            self._record(target, Outcome.OUT_OF_SCOPE, b"")

    def close(self) -> None:
        """No more comes."""
        self._inbox.close()

    async def run(self) -> None:
        """One connection at a time per host."""
        context, hello = self._context, self._hello
        writing = asyncio.create_task(self._write_now_and_then())
        try:
            stats = await context.engine(context.options.hello_timeout).drive(
                Held(self._inbox, self._is_held),
                self._record,
                hello=hello.request,
                whole=hello.whole,
                farewell=hello.farewell,
                max_answer=hello.max_answer,
                exclusive=True,
                hosts=context.hosts,
                permits=self._may_dial,
                should_stop=context.control.should_stop,
            )
            context.cpu["identify"] += stats.cpu
        finally:
            writing.cancel()
            self._write()

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(WRITE_INTERVAL)
            self._write()

    def _write_if_from(self, address: Address) -> None:
        if address in self._unwritten:
            self._write()

    def _write(self) -> None:
        answers, self._answers = self._answers, []
        self._unwritten.clear()
        self._context.store.record_hellos(self._context.run.id, self._protocol.name, answers)
        for endpoint, payload in answers:
            self._told(endpoint, payload)

    def _may_dial(self, target: Target) -> bool:
        """Asked right before the dial: a window may have closed, an exclusion come, and a zone end at `connect`."""
        answer = self._context.gate.decide(target.tag.address, target.tag.port, Depth.TALK)
        self._context.decided(target.tag, "hello", answer)
        return isinstance(answer, Permit)

    def _record(self, target: Target, outcome: Outcome, answer: bytes) -> None:
        endpoint = target.tag
        if outcome in NOT_ASKED:
            why = Failed(stage=Stage.HANDSHAKE, reason=outcome.reason)
            self._context.evidence.left_out[endpoint, self._protocol.name]["hello"] = why
            self._left(endpoint)
        else:
            self._unwritten.add(endpoint.address)
            self._answers.append((endpoint, hello_payload(self._protocol, endpoint, outcome, answer)))
        self._context.progress.advance("identify", 1)


def hello_payload(protocol: Protocol, endpoint: Endpoint, outcome: Outcome, answer: bytes) -> Payload:
    """The result of a first exchange. An answer that did not come whole is none: not one byte of it is read."""
    if outcome is Outcome.ANSWERED:
        try:
            return protocol.read_hello(answer, endpoint, IDENTIFY)
        except Exception as error:  # noqa: BLE001 - the job boundary of the wide stage
            return protocol.encode_attempt(bug("hello", error))
    stage = Stage.HANDSHAKE if outcome.connected else Stage.CONNECT
    reason = Reason.TRUNCATED if answer and outcome is Outcome.HUNG_UP else outcome.reason
    return protocol.encode_attempt(Failed(stage=stage, reason=reason))
