"""Made-up services with a label: hospitals of many kinds, research, phantoms, public collections, decoys. From one seed.

Each is what the parser of the census would have counted of 25 records at most, and what the handshake showed. Names are put
together from syllables; the words that mark phantoms and anonymous records are those that the field uses.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from leadapron.model import Access, Census, Count, Counts, Endpoint, Observation, Owner, Product, Service, Verdict
from leadapron.protocols.dicom.signs import BIRTH, ID, NAME, REMOVED, STUDY_DATE, STUDY_UID, Signs

TODAY = dt.date(2026, 5, 17)
EACH = 40
Record = dict[int, bytes]
Make = Callable[[random.Random, int], Record]

LATIN = ("Bra", "Can", "Dor", "El", "Fos", "Gra", "Lu", "Mor", "Pel", "Va", "Tes", "Dem", "Ano", "Cas"), (
    "velli", "lmar", "ndo", "roni", "sconi", "tier", "wald", "ta", "mont", "novic", "berg", "ez",
)  # fmt: skip
CYRILLIC = ("Бра", "Кан", "Дор", "Ель", "Фос", "Гра"), ("велов", "лмаров", "ндов", "ронин", "сконов")
HAN = ("布", "坎", "朵", "艾", "福", "格", "露", "莫"), ("维", "马", "多", "尼", "科", "德")
GIVEN = ("Ada", "Bruno", "Clio", "Dario", "Elke", "Franz", "Gaia", "Hugo", "Ines", "Jan", "Kira", "Leo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """`label` is a verdict on genuineness; `kind` says what it plays."""

    label: str
    kind: str
    observation: Observation


def person(chance: random.Random, script: tuple[tuple[str, ...], tuple[str, ...]] = LATIN) -> str:
    return f"{chance.choice(script[0])}{chance.choice(script[1])}^{chance.choice(GIVEN)}"


def patient(chance: random.Random, name: str, *, birth: bool = True) -> Record:
    born = dt.date(1925, 1, 1) + dt.timedelta(days=chance.randrange(36_000))
    studied = dt.date(2015, 1, 1) + dt.timedelta(days=chance.randrange(4000))
    return {
        NAME: name.encode(),
        ID: str(chance.randrange(10**7)).encode(),
        BIRTH: f"{born:%Y%m%d}".encode() if birth else b"",
        STUDY_DATE: f"{studied:%Y%m%d}".encode(),
        STUDY_UID: f"1.2.840.99999.{chance.randrange(10**9)}".encode(),
    }


def hospital(chance: random.Random, _number: int) -> Record:
    return patient(chance, person(chance))


def with_quality_checks(chance: random.Random, _number: int) -> Record:
    """One in seven is the phantom of the morning."""
    return patient(chance, "QA^PHANTOM" if chance.random() < 0.15 else person(chance))


def with_emergencies(chance: random.Random, number: int) -> Record:
    """One in five has no name yet."""
    return patient(
        chance, f"Unknown^{number}" if chance.random() < 0.2 else person(chance), birth=chance.random() > 0.2
    )


def elsewhere(chance: random.Random, _number: int) -> Record:
    return patient(chance, person(chance, chance.choice((CYRILLIC, HAN))))


def one_family(chance: random.Random, _number: int) -> Record:
    """A practice in a village: few names."""
    return patient(chance, f"{chance.choice(('Brandoni', 'Testa', 'Demont'))}^{chance.choice(GIVEN)}")


def deidentified(chance: random.Random, number: int) -> Record:
    return patient(chance, f"ANON{number:05}", birth=False) | {REMOVED: b"YES"}


def coded(chance: random.Random, number: int) -> Record:
    """Coded for a trial; nothing says so."""
    return patient(chance, f"HX{chance.randrange(9)}-{number:04}", birth=False)


def nameless(chance: random.Random, _number: int) -> Record:
    return patient(chance, "", birth=False) | {REMOVED: b"YES" if chance.random() < 0.95 else b""}


def phantom(chance: random.Random, number: int) -> Record:
    return patient(chance, chance.choice(("PHANTOM^ACR", f"TEST{number}", "QA^Daily", "Catphan 504", "Demo^Patient")))


def load_test(chance: random.Random, number: int) -> Record:
    return patient(chance, f"PATIENT^{number}") | {BIRTH: b"19700101"}


def one_record(chance: random.Random, _number: int) -> Record:
    return patient(chance, "Smith^Mary") | {BIRTH: b"20991231"}


def collection(chance: random.Random, number: int) -> Record:
    root = chance.choice(("1.3.6.1.4.1.14519.5.2.1", "1.3.6.1.4.1.9328.50"))
    return patient(chance, f"TCGA-{number:04}", birth=False) | {STUDY_UID: f"{root}.{number}.7".encode()}


KINDS: tuple[tuple[str, Make], ...] = (
    ("patients", hospital),
    ("patients", with_quality_checks),
    ("patients", with_emergencies),
    ("patients", elsewhere),
    ("patients", one_family),
    ("deidentified", deidentified),
    ("deidentified", coded),
    ("deidentified", nameless),
    ("test", phantom),
    ("test", load_test),
    ("test", one_record),
    ("public-sample", collection),
)
PLAIN = Product(toolkit="OFFIS DCMTK 3.6.7", candidates=("DCMTK tools (dcmqrscp, storescp, wlmscpfs)", "Orthanc"))
POT = Product(toolkit="go-netdicom", candidates=("Dicompot",))
HAWK = Product(name="DICOMHawk", confidence="source")


def services(seed: int = 2020) -> Iterator[Labelled]:
    """`EACH` of every kind, then real archives on the stack of a honeypot, then decoys."""
    chance = random.Random(seed)
    for label, make in KINDS:
        for _ in range(EACH):
            yield Labelled(label=label, kind=make.__name__, observation=seen(chance, make, size(chance, label)))
    for _ in range(EACH):
        archive = seen(chance, hospital, size(chance, "patients"), product=POT, takes_anything=True)
        yield Labelled(label="patients", kind="real, on go-netdicom", observation=archive)
    for make, product in ((collection, POT), (collection, HAWK), (load_test, POT), (hospital, HAWK)):
        for _ in range(EACH // 4):
            twins = 1 if make is not hospital else chance.randint(3, 9)
            decoy = seen(chance, make, size(chance, ""), product=product, takes_anything=product is POT, twins=twins)
            yield Labelled(label="honeypot", kind=f"decoy, {make.__name__}", observation=decoy)


def size(chance: random.Random, label: str) -> int:
    """Records of a sample: archives of patients may be tiny."""
    return chance.choice((3, 6, 14, 25, 25)) if label == "patients" else chance.choice((8, 14, 25, 25))


def seen(
    chance: random.Random,
    make: Make,
    records: int,
    *,
    product: Product = PLAIN,
    takes_anything: bool = False,
    twins: int = 1,
) -> Observation:
    signs = Signs(TODAY)
    for number in range(records):
        signs.take(make(chance, number))
    return Observation(
        service=Service(endpoint=Endpoint(address=IPv4Address("198.18.0.1"), port=104), protocol="dicom"),
        access=Access(reach=Verdict.PROVEN, list=Verdict.PROVEN),
        counts=Counts(studies=Count.exact(records)),
        product=product,
        owner=Owner(grant="g"),
        facts={
            "context.made_up": takes_anything,
            "twins": twins,
            **{f"sign.{name}": count for name, count in signs.numbers().items()},
        },
        census=Census(sampled=records, present={}),
    )
