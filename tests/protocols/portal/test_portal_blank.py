"""The blank login: only where the grant says so, once, empty, and accepted by positive signs alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from portal_server import (
    CASE,
    OVIYAM_ERROR,
    OVIYAM_LOGIN,
    TERMS,
    XNAT_LOGIN,
    Answered,
    Server,
    observed,
    ok,
    to,
)

from leadapron.model import Observation, Reason, Stage, Verdict
from leadapron.protocols.portal.blank import body_of
from leadapron.protocols.portal.portals import portals

ALLOWED = replace(CASE, terms=replace(TERMS, blank_login=True))
SESSION = b"Set-Cookie: JSESSIONID=0123456789ABCDEF; Path=/oviyam2; HttpOnly"
POST = "POST /oviyam2/j_security_check"


def oviyam(answer: Answered, *fields: bytes) -> Server:
    return Server({"/oviyam2/": ok(OVIYAM_LOGIN, *fields), POST: answer})


def xnat(answer: Answered) -> Server:
    login = ok(XNAT_LOGIN, b"Set-Cookie: JSESSIONID=old")
    return Server({"/app/template/Index.vm": login, "POST /login": answer})


def seen_of(server: Server) -> Observation:
    (seen,) = observed(server, ALLOWED)
    return seen


def test_without_the_grants_word_nothing_is_sent() -> None:
    server = oviyam(to("/oviyam2/", SESSION))
    (seen,) = observed(server)
    assert not any(request.startswith(b"POST") for request in server.requests)
    assert "blank_login_accepted" not in seen.facts


def test_it_is_sent_once_and_empty_with_the_session_of_the_form() -> None:
    server = oviyam(to("/oviyam2/", SESSION), SESSION)
    seen = seen_of(server)

    (post,) = [request for request in server.requests if not request.startswith(b"GET ")]
    head, _, body = post.partition(b"\r\n\r\n")
    assert body == b"j_username=&j_password="
    assert b"\r\nCookie: JSESSIONID=0123456789ABCDEF" in head
    assert b"\r\nContent-Type: application/x-www-form-urlencoded" in head
    assert server.requests[-1] == post, "nothing is asked in that session"
    assert seen.facts["blank_login_accepted"] is True
    assert seen.access.list is Verdict.REFUSED, "to who has no login"
    assert seen.unknowns == ()


@pytest.mark.parametrize(
    "portal", [portal for portal in portals().values() if portal.form], ids=lambda portal: portal.path
)
def test_no_form_ever_carries_a_name_or_a_password(portal: object) -> None:
    form = portal.form  # type: ignore[attr-defined]
    sent = dict(pair.split("=") for pair in body_of(form).decode().split("&"))
    assert {sent[name] for name in form.fields} == {""}
    assert not set(form.constants) & {"username", "password", "j_username", "j_password"}


@pytest.mark.parametrize(
    ("answer", "page_fields", "accepted"),
    [
        (to("/oviyam2/", SESSION), (), True),
        (to("/oviyam2/index.jsp"), (SESSION,), True),
        (to("http://198.18.0.1:8080/oviyam2/", SESSION), (), True),
        (to("/oviyam2/error.jsp", SESSION), (), False),
        (to("/oviyam2/login.jsp", SESSION), (), False),
        (ok(OVIYAM_ERROR, SESSION), (), False),
        (ok(OVIYAM_LOGIN, SESSION), (), False),
        ((401, b"", ()), (), False),
        ((403, b"", ()), (), False),
        (to("/oviyam2/"), (), None),
        (to("/oviyam2/", b"Set-Cookie: other=1"), (), None),
        (to("/oviyam2/", b"Set-Cookie: JSESSIONID=deleted"), (), None),
        (to("/oviyam2/", b"Set-Cookie: JSESSIONID="), (), None),
        (to("/", SESSION), (), None),
        (to("/somewhere", SESSION), (), None),
        (to("https://sso.hospital.example/oviyam2/", SESSION), (), None),
        ((302, b"", (SESSION,)), (), None),
        (ok("<html>Welcome</html>", SESSION), (), None),
        ((200, b"", (SESSION,)), (), None),
        ((307, b"", (b"Location: /oviyam2/", SESSION)), (), None),
        ((408, b"", ()), (), None),
        ((500, b"", ()), (), None),
    ],
)
def test_success_is_told_by_positive_signs_alone(
    answer: Answered, page_fields: tuple[bytes, ...], accepted: bool | None
) -> None:
    seen = seen_of(oviyam(answer, *page_fields))
    assert seen.facts.get("blank_login_accepted") is accepted
    expected = [] if accepted is not None else [(Stage.TALK, Reason.PROTOCOL)]
    assert [(why.stage, why.reason) for why in seen.unknowns] == expected


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (to("/", b"Set-Cookie: JSESSIONID=new"), True),
        (to("/"), None),
        (to("/app/template/Login.vm?failed=true", b"Set-Cookie: JSESSIONID=new"), False),
    ],
)
def test_where_a_login_renews_the_session_an_old_cookie_is_no_sign(answer: Answered, accepted: bool | None) -> None:
    server = xnat(answer)
    assert seen_of(server).facts.get("blank_login_accepted") is accepted
    assert server.requests[-1].endswith(b"username=&password=&login_method=localdb")


@pytest.mark.parametrize(
    "page",
    [
        '<title>Oviyam login</title><form action="j_security_check">',
        '<title>Oviyam login</title><form action="j_security_check"><input name="j_username">',
        '<title>Oviyam login</title><form action="j_security_check"><input name="user"><input name="j_password">',
    ],
)
def test_a_form_that_is_not_the_one_we_know_is_left_alone(page: str) -> None:
    server = Server({"/oviyam2/": ok(page), POST: to("/oviyam2/", SESSION)})
    seen = seen_of(server)
    assert POST not in server.asked
    assert "blank_login_accepted" not in seen.facts


def test_a_form_that_is_gone_at_the_second_look_is_not_sent() -> None:
    pages = iter([ok(OVIYAM_LOGIN), ok("<title>Oviyam</title>")])
    server = Server({"/oviyam2/": lambda _: next(pages), POST: to("/oviyam2/", SESSION)})
    seen = seen_of(server)
    assert POST not in server.asked
    assert [(why.stage, why.reason) for why in seen.unknowns] == [(Stage.TALK, Reason.PROTOCOL)]


@pytest.mark.parametrize(
    "cookie", [b'JSESSIONID="a b"', b"JSESSIONID=a\0b", b"JSESSIONID=" + b"a" * 9000, b"\xff\xfe", b"=", b""]
)
def test_a_cookie_that_is_none_does_not_break_the_request(cookie: bytes) -> None:
    server = oviyam((403, b"", ()), b"Set-Cookie: " + cookie)
    assert seen_of(server).facts["blank_login_accepted"] is False
    assert server.asked[-1] == POST
