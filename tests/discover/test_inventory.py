"""Inventories in three formats; a mistake is one line that says where, and any text gives systems or that line."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.discover.inventory import read_inventory
from leadapron.errors import InputError
from leadapron.model import Expected

CT = Expected(host="10.0.0.5", port=104, title="CT1", owner="Radiology")


def read(folder: Path, text: str | bytes, name: str = "file") -> tuple[Expected, ...]:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_inventory(path)


@pytest.mark.parametrize(
    "text",
    [
        "aet,address,port,owner\nCT1,10.0.0.5,104,Radiology\n",
        "\ufeffAE title;IP;Port;Owner;Vendor\nCT1;10.0.0.5;104;Radiology;Example\n",
        'owner,port,host,title\n" Radiology ",104,10.0.0.5,CT1\n\n,,,\nRadiology,104,10.0.0.5,CT1\n',
    ],
)
def test_a_csv_is_read_by_the_names_of_its_columns(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == (CT,)


def test_owners_are_unknown_missing_or_named(tmp_path: Path) -> None:
    (without,) = read(tmp_path, "address,port\n10.0.0.5,104\n")
    nobody, short = read(tmp_path, "address,port,owner\n10.0.0.5,104,\n2001:DB8::1,11112\n")
    assert (without.owner, nobody.owner, short.owner) == (None, "", "")
    assert short.host == "2001:db8::1"


ORTHANC = """{
  // the peers; a "//" in a string is none
  "Name" : "a // b /* c */",
  "DicomModalities" : {
    "ct" : [ "CT1", "10.0.0.5", 104, "Generic" ], /* a list */
    "pacs" : { "AET" : "PACS", "Host" : "Pacs.Hospital.Example", "Port" : 11112 }
  }
}"""


def test_the_peers_of_an_orthanc(tmp_path: Path) -> None:
    expected = (
        Expected(host="10.0.0.5", port=104, title="CT1"),
        Expected(host="pacs.hospital.example", port=11112, title="PACS"),
    )
    assert read(tmp_path, ORTHANC) == expected
    expanded = {"pacs": {"AET": "PACS", "Host": "10.0.0.9", "Port": 104, "Timeout": 0}}
    assert read(tmp_path, json.dumps(expanded)) == (Expected(host="10.0.0.9", port=104, title="PACS"),)


LDIF = f"""version: 1

dn: dicomDeviceName=archive,cn=Devices,cn=DICOM Configuration,dc=example
objectClass: dicomDevice
dicomDeviceName: archive

# a comment
dn: cn=dicom,dicomDeviceName=archive,cn=Devices,cn=DICOM Configuration,dc=exa
 mple
dicomHostname: pacs.hospital.example
dicomPort: 11112

dn: cn=dicom-tls,dicomDeviceName=archive,cn=Devices,cn=DICOM Configuration,dc=example
dicomHostname:: {base64.b64encode(b"10.0.0.7").decode()}
dicomPort: 2762

dn: dicomAETitle=ARCHIVE,dicomDeviceName=archive,cn=Devices,cn=DICOM Configuration,dc=example
dicomAETitle: ARCHIVE
dicomNetworkConnectionReference: cn=dicom,dicomDeviceName=archive,cn=Devices,cn=DICOM Configuration,dc=example
dicomNetworkConnectionReference: cn=dicom-tls,dicomDeviceName=archive,cn=Devices,cn=DICOM Configuration,dc=example
"""


@pytest.mark.parametrize(
    "text",
    [LDIF, LDIF.replace("\n", "\r\n"), LDIF.replace("Reference: cn=dicom,", "Reference: CN = dicom , ")],
    ids=["LF", "CRLF", "spaces"],
)
def test_the_devices_of_a_dcm4chee(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == (
        Expected(host="pacs.hospital.example", port=11112, title="ARCHIVE"),
        Expected(host="10.0.0.7", port=2762, title="ARCHIVE"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: no columns address and port"),
        ("address,port\n", "names no system"),
        ("title,owner\nCT1,me\n", "line 1: no columns address and port"),
        ("address,port\n10.0.0.5,104\n10.0.0.6,0\n", "line 3: '0' is no port"),
        ("address,port\n10.0.0.5,70000\n", "line 2: '70000' is no port"),
        ("address,port\n10.0.0.5/24,104\n", "line 2: '10.0.0.5/24' is neither an address nor a host name"),
        ("address,port,aet\n10.0.0.5,104,A\\B\n", "line 2: 'A\\\\\\\\B' is no AE title"),
        ('address,port\n"10.0.0.5,104\n', "is no CSV"),
        ("{", "line 1: is no JSON"),
        ('{"DicomModalities": []}', "has no DicomModalities"),
        ('{"DicomModalities": {"a": ["CT1", "10.0.0.5"]}}', "DicomModalities 'a': is no peer"),
        ('{"DicomModalities": {"a": ["CT1", "h", ' + "1" * 5000 + "]}}", "is no JSON"),
        ('{"DicomModalities": {"a": ["CT1", null, 104]}}', "'' is neither an address nor a host name"),
        (
            LDIF.replace("dicom-tls,dicomDeviceName=archive,cn=Devices", "lost,dicomDeviceName=archive,cn=Devices", 1),
            "names a conn",
        ),
        ("dn: cn=a\ndicomHostname:: %%%\n", "dicomHostname: is no base64"),
        (b"address,port\n\xff\xfe,104\n", "is not UTF-8"),
        (b"x" * ((16 << 20) + 1), "is larger than 16 MiB"),
    ],
)
def test_a_mistake_says_where_it_is(text: str | bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says.replace("(", r"\(")) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "file"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_inventory(tmp_path / "lost")


@given(st.text() | st.sampled_from(["{", "dn: a\n", "address,port\n", "address;port;owner\n"]).flatmap(
    lambda head: st.text().map(lambda rest: head + rest)
))  # fmt: skip
def test_any_text_gives_systems_or_one_line(text: str) -> None:
    with TemporaryDirectory() as folder:
        try:
            found = read(Path(folder), text.encode("utf-8", "replace"))
        except InputError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert found
