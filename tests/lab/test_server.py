"""The lab's server, held against pynetdicom as a client, and against our own codec for what pynetdicom never does."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from lab_client import FIND, HERE, PENDING, WORKLIST, associated, find, keys, serving
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelMove, Verification

from leadapron.lab import server as lab
from leadapron.lab.archive import Archive, Keys, level_of, made_up
from leadapron.lab.server import Behaviour, OnFind, Server
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, uids
from leadapron.protocols.dicom.wire.items import ProposedContext, UserInformation
from leadapron.protocols.dicom.wire.pdu import AssociateAC, AssociateRQ

ARCHIVE = made_up(3, 60, largest=5)
LARGE = made_up(4, 3000, largest=2)
DATES = sorted(study.values[0x00080020].decode() for study in ARCHIVE.studies if study.values[0x00080020])


class Endless(Archive):
    """Its studies come again and again; its series end."""

    def find(self, keys: Keys) -> Iterator[dict[int, bytes]]:
        while level_of(keys) == b"STUDY":
            yield from super().find(keys)
        yield from super().find(keys)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """An open archive."""
    archives = {"": ARCHIVE, "LARGE": LARGE, "ENDLESS": Endless(studies=ARCHIVE.studies)}
    with serving({HERE: Server(Behaviour(archives=archives, worklist=5)).serve}) as port:
        yield port


def with_worklist(**options: Any) -> Behaviour:
    return Behaviour(accepts=lab.QUERY | lab.WORKLIST, **options)


def test_c_echo(port: int) -> None:
    with associated(port) as association:
        assert association.is_established
        assert [association.send_c_echo().Status for _ in range(3)] == [0, 0, 0]


def test_a_client_counts_what_the_archive_holds_at_every_level(port: int) -> None:
    with associated(port) as association:
        studies, status = find(association, keys("STUDY"))
        series = images = 0
        for study in studies:
            uid = study.StudyInstanceUID
            found, _ = find(association, keys("SERIES", StudyInstanceUID=uid, SeriesInstanceUID=""))
            series += len(found)
            for each in found:
                wanted = {"StudyInstanceUID": uid, "SeriesInstanceUID": each.SeriesInstanceUID, "SOPInstanceUID": ""}
                images += len(find(association, keys("IMAGE", **wanted))[0])

    assert status == 0
    assert (len(studies), series, images) == (len(ARCHIVE.studies), ARCHIVE.series, ARCHIVE.images)
    assert len({study.StudyInstanceUID for study in studies}) == len(studies)
    assert sum(study.NumberOfStudyRelatedSeries for study in studies) == series
    assert sum(study.NumberOfStudyRelatedInstances for study in studies) == images


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"AccessionNumber": "SYN003*"}, 60),
        ({"AccessionNumber": "SYN00300000?"}, 10),
        ({"AccessionNumber": "*7"}, 6),
        ({"AccessionNumber": "SYN003000012"}, 1),
        ({"AccessionNumber": "XYZ*"}, 0),
        ({"PatientName": "SYNTHETIC^*00003?"}, 10),
        ({"PatientID": "synthetic*"}, 0),
        ({"StudyDate": f"{DATES[10]}-{DATES[19]}"}, 10),
        ({"StudyDate": f"-{DATES[4]}"}, 5),
        ({"StudyDate": f"{DATES[-3]}-"}, 3),
        ({"StudyDate": DATES[7]}, 1),
        ({"StudyDate": "18500101-18501231"}, 0),
        ({"StudyInstanceUID": ["2.25.3.1", "2.25.3.5", "2.25.999"]}, 2),
        ({"StudyDate": f"{DATES[0]}-", "AccessionNumber": "SYN0030000*"}, len(DATES)),
    ],
)
def test_keys_narrow(port: int, wanted: dict[str, Any], expected: int) -> None:
    assert len(set(DATES)) == len(DATES), "a seed without two studies on one day"
    with associated(port) as association:
        found, status = find(association, keys("STUDY", **wanted))
    assert (len(found), status) == (expected, 0)


@pytest.mark.parametrize("level", ["PATIENT", "STUDIES", ""])
def test_a_level_that_the_model_does_not_have_does_not_match_the_sop_class(port: int, level: str) -> None:
    with associated(port) as association:
        assert find(association, keys(level)) == ([], 0xA900)
        assert association.send_c_echo().Status == 0


def test_bytes_of_any_character_set_in_a_pattern_harm_nobody(port: int) -> None:
    identifier = keys("STUDY", PatientName="Müller*")
    identifier.SpecificCharacterSet = "ISO_IR 100"
    with associated(port) as association:
        assert find(association, identifier) == ([], 0)
        assert association.send_c_echo().Status == 0


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, "1.2.840.10008.1.2"])
def test_both_little_endian_transfer_syntaxes_are_spoken(port: int, syntax: str) -> None:
    with associated(port, syntaxes=[ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, syntax]) as association:
        assert {context.transfer_syntax[0] for context in association.accepted_contexts} == {syntax}
        assert len(find(association, keys("STUDY", AccessionNumber="*"))[0]) == 60


def test_a_transfer_syntax_that_is_not_spoken_is_refused(port: int) -> None:
    with associated(port, contexts=(FIND,), syntaxes=[ExplicitVRBigEndian]) as association:
        assert [context.result for context in association.rejected_contexts] == [4]


def test_c_cancel_ends_the_answers_and_the_association_goes_on(port: int) -> None:
    seen, final = 0, -1
    with associated(port, called="ENDLESS") as association:
        for status, _ in association.send_c_find(keys("STUDY"), FIND, msg_id=7):
            if status.Status not in PENDING:
                final = status.Status
            elif (seen := seen + 1) == 3:
                association.send_c_cancel(7, query_model=FIND)
        assert final == 0xFE00
        assert seen >= 3
        assert len(find(association, keys("SERIES", SeriesInstanceUID=""))[0]) == ARCHIVE.series


def test_a_cancel_that_came_together_with_its_request_is_heard_after_the_first_batch(port: int) -> None:
    peer = Peer(port)
    cancel = peer.association.send_message(1, dimse.cancel_request(1))
    peer.ask(1, cancel)
    count = 0
    while (event := peer.next()) and isinstance(event, wire.Message) and event.command.status == 0xFF00:
        count += 1
    peer.socket.close()
    assert isinstance(event, wire.Message)
    assert (count, event.command.status) == (lab.BATCH, 0xFE00)


def test_what_nobody_serves_is_answered_all_the_same(port: int) -> None:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    contexts = (CTImageStorage, StudyRootQueryRetrieveInformationModelMove, Verification)
    with associated(port, contexts=contexts) as association:
        assert association.send_c_store(image).Status == 0x0122
        moved = association.send_c_move(keys("STUDY"), "NOWHERE", StudyRootQueryRetrieveInformationModelMove)
        assert [status.Status for status, _ in moved] == [0x0122]
        assert association.send_c_echo().Status == 0


@pytest.mark.parametrize(
    ("behaviour", "called", "calling", "reason"),
    [
        (Behaviour(called=frozenset(("PACS",))), "ANY-SCP", "LABTEST", 7),
        (Behaviour(called=frozenset(("PACS",))), "PACS", "LABTEST", None),
        (Behaviour(calling=frozenset(("CT1",))), "ANY-SCP", "LABTEST", 3),
        (Behaviour(calling=frozenset(("CT1",))), "ANY-SCP", "CT1", None),
    ],
)
def test_titles_are_checked_where_they_are(behaviour: Behaviour, called: str, calling: str, reason: int | None) -> None:
    with (
        serving({HERE: Server(behaviour).serve}) as port,
        associated(port, called=called, calling=calling) as association,
    ):
        assert association.is_rejected == (reason is not None)
        if reason is not None:
            answer = association.acceptor.primitive
            assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, reason)


def test_one_title_one_archive() -> None:
    archives = {"A": made_up(1, 3), "B": made_up(2, 5)}
    with serving({HERE: Server(Behaviour(archives=archives)).serve}) as port:
        for title, count in (("A", 3), ("B", 5), ("C", 0)):
            with associated(port, called=title) as association:
                assert len(find(association, keys("STUDY"))[0]) == count


@pytest.mark.parametrize(
    ("on_find", "limit", "count", "status"),
    [
        (OnFind.ANSWER, 0, 60, 0x0000),
        (OnFind.CAP, 25, 25, 0xFE00),
        (OnFind.CAP, 60, 60, 0x0000),
        (OnFind.CAP_SILENTLY, 25, 25, 0x0000),
        (OnFind.NOT_AUTHORIZED, 0, 0, 0x0124),
    ],
)
def test_what_a_c_find_meets(on_find: OnFind, limit: int, count: int, status: int) -> None:
    behaviour = Behaviour(archives={"": ARCHIVE}, on_find=on_find, limit=limit)
    with serving({HERE: Server(behaviour).serve}) as port, associated(port) as association:
        found, final = find(association, keys("STUDY"))
        assert (len(found), final) == (count, status)
        assert association.send_c_echo().Status == 0


@pytest.mark.parametrize(("on_find", "count"), [(OnFind.ABORT, 0), (OnFind.DIE, 20)])
def test_an_association_that_ends_in_the_middle(on_find: OnFind, count: int) -> None:
    behaviour = Behaviour(archives={"": ARCHIVE}, on_find=on_find, limit=20)
    with serving({HERE: Server(behaviour).serve}) as port, associated(port) as association:
        answers = list(association.send_c_find(keys("STUDY"), FIND))
        association.join(20)
        assert len([status for status, _ in answers if "Status" in status]) <= count
        assert "Status" not in answers[-1][0]
        assert not association.is_established


def test_a_worklist_has_its_entries_and_no_archive() -> None:
    with (
        serving({HERE: Server(with_worklist(worklist=5)).serve}) as port,
        associated(port) as association,
    ):
        wanted = Dataset()
        wanted.PatientName = ""
        entries, status = find(association, wanted, WORKLIST)
        assert (len(entries), status) == (5, 0)
        assert all(str(entry.PatientName).startswith("SYNTHETIC^") for entry in entries)
        assert find(association, keys("STUDY")) == ([], 0)


def test_what_was_asked_is_counted() -> None:
    server = Server(Behaviour(archives={"": ARCHIVE}))
    with serving({HERE: server.serve}) as port, associated(port) as association:
        association.send_c_echo()
        find(association, keys("STUDY"))
        find(association, keys("STUDY"))
    assert dict(server.asked) == {"connections": 1, "associations": 1, "echo": 1, "find": 2}


class Peer:
    """A client on our own codec, which may say what pynetdicom would not."""

    def __init__(self, port: int, called: str = "LARGE") -> None:
        self.socket = socket.create_connection((HERE, port), timeout=20)
        self.association = wire.Association()
        context = ProposedContext(
            id=1, abstract_syntax=uids.STUDY_ROOT_FIND, transfer_syntaxes=(uids.IMPLICIT_VR_LITTLE_ENDIAN,)
        )
        self.socket.sendall(
            self.association.request(
                AssociateRQ(called_aet=called, calling_aet="LABTEST", contexts=(context,), user=UserInformation())
            )
        )
        assert isinstance(self.next(), AssociateAC)

    def next(self) -> wire.Event:
        while (event := self.association.next_event()) is wire.NEED_DATA:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionResetError
            self.association.receive_data(data)
        assert not isinstance(event, wire.NeedData)
        return event

    def ask(self, message_id: int, behind: bytes = b"") -> None:
        identifier = lab.write_identifier({0x00080052: b"STUDY", 0x0020000D: b""}, explicit=False)
        self.socket.sendall(
            self.association.send_message(1, dimse.find_request(message_id, uids.STUDY_ROOT_FIND), identifier) + behind
        )


def test_a_second_request_in_the_middle_of_the_first_waits_for_its_turn(port: int) -> None:
    peer = Peer(port)
    peer.ask(1)
    assert isinstance(peer.next(), wire.Message)
    peer.ask(2)
    answered = []
    while len(answered) < 2:
        event = peer.next()
        assert isinstance(event, wire.Message)
        if event.command.status == 0:
            answered.append(event.command.message_id)
    peer.socket.close()
    assert answered == [1, 2]


def test_a_cancel_of_another_request_changes_nothing(port: int) -> None:
    peer = Peer(port)
    peer.ask(1)
    peer.socket.sendall(peer.association.send_message(1, dimse.cancel_request(99)))
    count = 0
    while (event := peer.next()) and isinstance(event, wire.Message) and event.command.status == 0xFF00:
        count += 1
    peer.socket.close()
    assert isinstance(event, wire.Message)
    assert (count, event.command.status) == (len(LARGE.studies), 0)


def test_requests_without_end_are_not_held_without_end(port: int) -> None:
    peer = Peer(port, "ENDLESS")

    def ask() -> None:
        with contextlib.suppress(OSError):  # also of the socket that is closed under it
            for number in range(1, 200):
                peer.ask(number)

    flood = threading.Thread(target=ask)
    flood.start()
    with pytest.raises(ConnectionError):  # noqa: PT012 - reads to the end
        while True:
            peer.next()
    peer.socket.close()
    flood.join(20)


@pytest.mark.parametrize("answers", [0, 1, 600])
@pytest.mark.parametrize("gently", [True, False])
def test_a_client_that_goes_away_makes_no_noise(
    port: int, answers: int, gently: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        peer = Peer(port)
        peer.ask(1)
        for _ in range(answers):
            peer.next()
        if not gently:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.socket.close()
    with associated(port) as association:
        assert association.send_c_echo().Status == 0
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"\x07" * 100, bytes(1000)])
def test_what_is_no_dicom_is_hung_up_on(port: int, said: bytes) -> None:
    with socket.create_connection((HERE, port), timeout=20) as peer:
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert peer.recv(1) == b""
    with associated(port) as association:
        assert association.send_c_echo().Status == 0
