import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from leadapron.net.syn.cookie import CookieJar, Cookies

KEY = bytes(range(16))
PORTS = range(61000, 65536)

targets = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 65535)), max_size=40)
ranges = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda two: range(min(two), max(two) + 1))


def cookies_of(jar: CookieJar, of: list[tuple[int, int]]) -> Cookies:
    addresses = np.array([address for address, _ in of], dtype=np.uint32)
    return jar.of(addresses, np.array([port for _, port in of], dtype=np.uint16))


@given(targets, ranges)
def test_a_cookie_is_the_cipher_of_its_target(of: list[tuple[int, int]], ports: range) -> None:
    cookies = cookies_of(CookieJar(KEY, ports), of)

    encryptor = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor()
    for at, (address, port) in enumerate(of):
        plain = np.array([address, port, 0, 0], dtype=np.uint32).tobytes()
        words = np.frombuffer(encryptor.update(plain), dtype=np.uint32)
        halves = words.view(np.uint16)
        assert (cookies.sequences[at], cookies.timestamps[at]) == (words[0], words[1])
        assert cookies.identifications[at] == halves[4]
        assert int(cookies.ports[at]) in ports


def test_source_ports_are_spread_over_all_of_their_range() -> None:
    ports = range(62000, 62010)
    cookies = cookies_of(CookieJar(KEY, ports), [(address, 104) for address in range(5000)])
    counts = np.bincount(cookies.ports, minlength=62010)[62000:]
    assert counts.min() > 400


def test_another_key_makes_other_cookies() -> None:
    of = [(address, 104) for address in range(1000)]
    ours = cookies_of(CookieJar(KEY, PORTS), of).sequences.copy()
    theirs = cookies_of(CookieJar(bytes(16), PORTS), of).sequences
    assert (ours == theirs).sum() == 0


def test_more_targets_than_ever_before_have_their_cookies_too() -> None:
    of = [(address, port) for address in range(500) for port in (104, 11112, 4242)]
    jar = CookieJar(KEY, PORTS)
    few = cookies_of(jar, of[:3]).sequences.copy()
    many = cookies_of(jar, of).sequences
    assert len(set(many.tolist())) == 1500
    assert (many[:3] == few).all()


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        CookieJar(bytes(size), PORTS)
