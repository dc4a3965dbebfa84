"""GnuTLS still speaks RC4 and 3DES: what is found at its server is what its own client gets."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_servers import Namespace, free_ports, namespace, require
from tls_servers import Maker, ask_offers, within

from leadapron.model import Endpoint
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import learn
from leadapron.protocols.tls.suites import Class

pytestmark = pytest.mark.peer

REST = "+COMP-ALL:+SIGN-ALL:+GROUP-ALL:+CTYPE-X509"
OLD = "+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2"
VERSIONS = {
    Version.TLS_1_0: "+VERS-TLS1.0",
    Version.TLS_1_1: "+VERS-TLS1.1",
    Version.TLS_1_2: "+VERS-TLS1.2",
    Version.TLS_1_3: "+VERS-TLS1.3",
}
CLASSES = {
    Class.AEAD_ECDHE: "+ECDHE-RSA:+AES-128-GCM:+AEAD",
    Class.AEAD_DHE: "+DHE-RSA:+AES-128-GCM:+AEAD",
    Class.CBC: "+ECDHE-RSA:+AES-128-CBC:+SHA1",
    Class.CBC_DHE: "+DHE-RSA:+AES-128-CBC:+SHA1",
    Class.RSA_KX: "+RSA:+AES-128-CBC:+AES-128-GCM:+SHA1:+AEAD",
    Class.TRIPLE_DES: "+RSA:+ECDHE-RSA:+DHE-RSA:+3DES-CBC:+SHA1",
    Class.RC4: "+RSA:+ECDHE-RSA:+ARCFOUR-128:+SHA1:+MD5",
    Class.NULL: "+RSA:+NULL:+SHA1:+MD5",
    Class.ANON: "+ANON-DH:+ANON-ECDH:+AES-128-CBC:+SHA1",
}
EVERYTHING = ":".join(["+CIPHER-ALL:+3DES-CBC:+ARCFOUR-128:+MAC-ALL:+KX-ALL:+ANON-DH:+ANON-ECDH", REST])
SERVERS = {
    "its defaults": "NORMAL",
    "RC4": f"NONE:{OLD}:{CLASSES[Class.RC4]}:{REST}",
    "3DES": f"NONE:{OLD}:{CLASSES[Class.TRIPLE_DES]}:{REST}",
    "anonymous": f"NONE:{OLD}:{CLASSES[Class.ANON]}:{REST}",
    "several": f"NONE:{OLD}:{CLASSES[Class.RC4]}:{CLASSES[Class.RSA_KX]}:{CLASSES[Class.NULL]}:{REST}",
    "all of it": f"NONE:{OLD}:+VERS-TLS1.3:{EVERYTHING}",
}


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "openssl", "gnutls-serv", "gnutls-cli")
    with namespace() as made:
        yield made


def gets(inside: Namespace, port: int, priority: str) -> bool:
    """Whether GnuTLS's client completes a handshake."""
    command = ("gnutls-cli", "--insecure", "--port", port, "--priority", priority, "127.0.0.1")
    return "Handshake was completed" in inside.run(*command, input="").stdout


@pytest.mark.parametrize("name", SERVERS)
def test_versions_and_classes_are_those_that_gnutls_gets(name: str, inside: Namespace, tmp_path: Path) -> None:
    pair = Maker(folder=tmp_path).make("pacs")
    (port,) = free_ports(1)
    files = ("--x509certfile", pair.certificate, "--x509keyfile", pair.key)
    command = ("gnutls-serv", "--echo", "--port", port, "--priority", SERVERS[name], *files)
    with inside.serving(port, *command, log=tmp_path / "log"):
        found = learn(within(inside, lambda: ask_offers(Endpoint(address=ip_address("127.0.0.1"), port=port))))
        versions = {each for each, term in VERSIONS.items() if gets(inside, port, f"NONE:{term}:{EVERYTHING}")}
        classes = {each for each, term in CLASSES.items() if gets(inside, port, f"NONE:{OLD}:{term}:{REST}")}
    assert found.versions
    assert found.versions == versions
    assert found.classes - {Class.TLS13} == classes
    assert not found.open_versions
