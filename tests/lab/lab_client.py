"""Servers of the lab in a thread of their own, and pynetdicom as the client that asks them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from leadapron.lab.listen import listening
from leadapron.lab.odd import Serve

HERE = "127.77.21.1"
FIND = StudyRootQueryRetrieveInformationModelFind
WORKLIST = ModalityWorklistInformationFind
PENDING = (0xFF00, 0xFF01)


@contextlib.contextmanager
def serving(serves: Mapping[str, Serve]) -> Iterator[int]:
    """The port on which all of them listen."""
    loop = asyncio.new_event_loop()
    noise: list[str] = []
    loop.set_exception_handler(lambda _, context: noise.append(str(context["message"])))
    ready, ended = threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        try:
            async with listening(serves) as port:
                ports.append(port)
                ready.set()
                await ended.wait()
        finally:
            ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(20)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)
    assert not thread.is_alive()
    assert noise == []


@contextlib.contextmanager
def associated(
    port: int,
    *,
    address: str = HERE,
    called: str = "ANY-SCP",
    calling: str = "LABTEST",
    contexts: tuple[str, ...] = (Verification, FIND, WORKLIST),
    syntaxes: list[str] | None = None,
) -> Iterator[Association]:
    """An association that was asked for, accepted or not."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 20
    for context in contexts:
        entity.add_requested_context(context, syntaxes) if syntaxes else entity.add_requested_context(context)
    association = entity.associate(address, port, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        if association.is_alive():
            association.join(20)


def keys(level: str, **wanted: str) -> Dataset:
    """An identifier."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword in ("StudyInstanceUID", "StudyDate", "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries"):
        setattr(dataset, keyword, "")
    for keyword, value in wanted.items():
        setattr(dataset, keyword, value)
    return dataset


def find(association: Association, identifier: Dataset, model: str = FIND) -> tuple[list[Dataset], int]:
    """The pending answers and the final status."""
    found: list[Dataset] = []
    status = -1
    for answer, dataset in association.send_c_find(identifier, model):
        assert "Status" in answer, "the association ended"
        status = answer.Status
        if status in PENDING:
            assert dataset is not None
            found.append(dataset)
    return found, status
