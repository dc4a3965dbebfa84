"""C-ECHO over Lead Apron's codec and dialer: the median of many in one association, and of whole associations."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Generator
from ipaddress import ip_address

from leadapron.model import Completed, Endpoint
from leadapron.net.conversation import Conversation, Limits
from leadapron.net.dialer import Line, hold
from leadapron.protocols.dicom.inquiry import our_user_information
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, uids
from leadapron.protocols.dicom.wire.items import ProposedContext
from leadapron.protocols.dicom.wire.pdu import AssociateRQ

ECHOES, ASSOCIATIONS = 200, 50


def event(side: wire.Association, sending: bytes) -> Generator[bytes, bytes, wire.Event]:
    while (happened := side.next_event()) is wire.NEED_DATA:
        side.receive_data((yield sending))
        sending = b""
    return happened


def converse(called_aet: str, echoes: int) -> Conversation[list[float]]:
    """Returns the seconds of each C-ECHO, from its first byte out to its answer decoded."""
    side, seconds = wire.Association(), []
    context = ProposedContext(
        id=1, abstract_syntax=uids.VERIFICATION, transfer_syntaxes=(uids.IMPLICIT_VR_LITTLE_ENDIAN,)
    )
    request = AssociateRQ(
        called_aet=called_aet, calling_aet="LEADAPRON", contexts=(context,), user=our_user_information()
    )
    yield from event(side, side.request(request))
    for number in range(echoes):
        begun = time.perf_counter()
        answer = yield from event(side, side.send_message(1, dimse.echo_request(number + 1, uids.VERIFICATION)))
        seconds.append(time.perf_counter() - begun)
        assert isinstance(answer, wire.Message)
        assert answer.command.status == 0
    yield from event(side, side.release())
    return Completed(result=seconds)


def carry(port: int, echoes: int) -> list[float]:
    endpoint, limits = Endpoint(address=ip_address("127.0.0.1"), port=port), Limits()
    attempt = asyncio.run(hold(converse("ORTHANC", echoes), endpoint, Line(limits), limits))
    assert isinstance(attempt, Completed), attempt
    return attempt.result


def main(port: int) -> None:
    echo = statistics.median(carry(port, ECHOES))
    whole = []
    for _ in range(ASSOCIATIONS):
        begun = time.perf_counter()
        carry(port, 1)
        whole.append(time.perf_counter() - begun)
    print(json.dumps({"echo_ms": echo * 1e3, "association_ms": statistics.median(whole) * 1e3}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
