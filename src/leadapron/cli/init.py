"""`leadapron init`: asks, and writes a commented scope file that loads."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadapron.cli.output import say
from leadapron.scope.doors import doors_with_ports

if TYPE_CHECKING:
    from leadapron.errors import InputError

DAYS = 90
"""How long a grant is proposed to hold."""
SHORT = 60
"""Characters of an answer that a mistake repeats."""

TEMPLATE = """\
# What Lead Apron may touch. Every key: docs/scope.md. Check it with: leadapron scope check {path}
version = 1
id = {scope_id}

[contact]
name = {contact}  # sent in the User-Agent and in the announcement
email = {email}
calling_aet = {calling_aet}  # the one title that we ever call ourselves

[vantage]
kind = {vantage}  # internet | partner-vpn | office | clinical
name = {vantage_name}
# listener = "203.0.113.7:11112"  # where `leadapron listen` runs: proves that our way out works
# token_file = "listener.token"

[[grant]]
id = {grant_id}
owner = {owner}
party = {party}  # the partner's name, where these are a partner's systems
basis = {basis}  # owner | partner | statutory (cite it in reference)
granted_by = {granted_by}
reference = {reference}  # letter, ticket, law; `document` may name a file, its SHA-256 is recorded
valid_from = {valid_from}  # both days included, UTC
valid_until = {valid_until}
country = {country}  # two letters, for private addresses
depth = {depth}  # connect | talk | count | census
networks = {networks}
# countries = ["DE"]  # or as_numbers = [64500]; with `wide = true` and `snapshot`, a file that says which networks these are
names = {names}  # resolved once, then pinned; all A and AAAA
exclude = {exclude}  # wins over every grant
called_aets = []  # titles the owner told us
# calling_aets = ["CT1"]  # titles of your own peers: does one of them alone open a server, from our address?
well_known_titles = false  # true: also a product's documented default title, at most 5
cleartext_census = false
blank_login = false
# client_certificate = "auditor.pem"  # and client_key: for servers of TLS that let nobody in without one

# [[zone]]  # gentler rules inside grants
# name = "modalities"
# networks = ["198.18.0.128/25"]
# max_depth = "connect"
# window = "22:00-05:00 Europe/Berlin"
# gap_seconds = 2.0

[ports]  # where each door is looked for; a door without its line is not looked for
{ports}

[pace]
connections_per_second = 500  # overall
per_network = 100  # connections a second per /24 (IPv4) or /48 (IPv6)

[budget]  # per service
associations = 12
queries = 40
answers = 20000
requests = 2000
seconds = 60

# [sweep]  # how ports are looked for
# method = "auto"  # auto | syn | connect; auto: SYN packets where they may be sent and a grant is wide
# packets_per_second = 100000  # SYN packets; else as many as connections
# bits_per_second = 50000000
# probes = 1  # SYN packets to one address and port
# cooldown_seconds = 8  # how long answers are waited for
# source_address = "198.18.0.1"
# source_ports = "61000-65535"
# processes = 1  # of the sweep by connections

# [survey]  # needed where a grant is wide: whom it meets did not ask for it
# opt_out = "optout@cert.example"  # where people write to be left alone
# page = "survey-page.txt"  # the text of the web page that says what this is
# url = "https://cert.example/survey"  # where it is shown
# exclusions = "exclusions.txt"  # dated; `leadapron survey exclude` adds to it

[infrastructure]  # our own endpoints, "HOST:PORT", never targets
allow = []

# [attribution]  # MMDB files, newer or richer than the country database that ships; relative to this file
# country = "GeoLite2-Country.mmdb"
# city = "GeoLite2-City.mmdb"
# asn = "GeoLite2-ASN.mmdb"
"""


Answers = dict[str, Any]

_SAMPLES: Answers = {
    "contact": "x",
    "email": "x@hospital.example",
    "owner": "x",
    "granted_by": "x",
    "reference": "x",
    "names": ["pacs.hospital.example"],
}
"""Answers that load, in place of those that are needed and were not given yet."""


@dataclass(frozen=True, slots=True)
class Question:
    """One value of the file. A default of None: it has to be given."""

    key: str
    option: str
    text: str
    read: Callable[[str], Any]
    default: Callable[[Answers], Any | None]


def _option(name: str, text: str) -> Any:
    return typer.Option(name, help=text, show_default=False)


def init_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write.")] = Path("scope.toml"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: options, and defaults for the rest.")] = False,
    scope_id: Annotated[str | None, _option("--id", "Identifier of the scope.")] = None,
    contact: Annotated[str | None, _option("--contact", "Who may be asked about our connections.")] = None,
    email: Annotated[str | None, _option("--email", "Where they are reached.")] = None,
    calling_aet: Annotated[str | None, _option("--calling-aet", "AE title that we call ourselves.")] = None,
    vantage: Annotated[str | None, _option("--vantage", "internet, partner-vpn, office or clinical.")] = None,
    vantage_name: Annotated[str | None, _option("--vantage-name", "Name of this host.")] = None,
    grant_id: Annotated[str | None, _option("--grant", "Identifier of the grant.")] = None,
    owner: Annotated[str | None, _option("--owner", "Whose systems these are.")] = None,
    party: Annotated[str | None, _option("--party", "The partner, where these are a partner's systems.")] = None,
    basis: Annotated[str | None, _option("--basis", "owner, partner or statutory.")] = None,
    granted_by: Annotated[str | None, _option("--granted-by", "Who authorised it.")] = None,
    reference: Annotated[str | None, _option("--reference", "Letter, ticket or law.")] = None,
    valid_from: Annotated[str | None, _option("--valid-from", "First day, 2026-11-01; today by default.")] = None,
    valid_until: Annotated[str | None, _option("--valid-until", f"Last day; {DAYS} days later by default.")] = None,
    country: Annotated[str | None, _option("--country", "Two letters, for private addresses.")] = None,
    depth: Annotated[str | None, _option("--depth", "connect, talk, count or census.")] = None,
    networks: Annotated[list[str] | None, _option("--network", "A granted network; repeatable.")] = None,
    names: Annotated[list[str] | None, _option("--name", "A granted host name; repeatable.")] = None,
    exclude: Annotated[list[str] | None, _option("--exclude", "A network to leave alone; repeatable.")] = None,
) -> None:
    """Write a commented scope file, after asking."""
    write_scope(path, {key: value for key, value in locals().items() if key not in ("path", "yes")}, ask=not yes)


def write_scope(path: Path, options: Answers, *, ask: bool) -> None:
    """Complete `options` (None: not given) by asking or by defaults, and write the file. Raises InputError; then nothing
    is written."""
    from leadapron.cli.report import write_private

    _expect_place(path)
    answers = _complete(options, ask=ask)
    if (mistake := _mistake(answers)) is not None:
        raise mistake
    write_private(path, render(answers, path), force=False)
    say(f"{path} is written. Next: leadapron scope check {path}")


def _expect_place(path: Path) -> None:
    """Before anything is asked: else the answers would be lost. Raises InputError."""
    from leadapron.errors import InputError

    folder = path.absolute().parent
    if os.path.lexists(path):
        raise InputError(f"{path} exists already; name another file, or move it away")
    if not folder.is_dir():
        raise InputError(f"{folder} is no directory; make it first, or name another file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written; name another file")


def render(answers: dict[str, Any], path: Path) -> str:
    """The text of the file; `answers` has a value for every key of `TEMPLATE`."""
    ports = "\n".join(f"{name} = {_toml(list(door.ports))}" for name, door in doors_with_ports().items())
    return TEMPLATE.format(path=path.name, ports=ports, **{key: _toml(value) for key, value in answers.items()})


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value) if isinstance(value, dt.date | int) else json.dumps(str(value), ensure_ascii=False)


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _complete(options: Answers, *, ask: bool) -> Answers:
    """What is given is read before anything is asked: a mistake in an option costs no answers."""
    from leadapron.errors import InputError

    answers: Answers = {}
    for question in _questions():
        if (given := options.get(question.key)) is not None:
            answers[question.key] = _read_option(question, given, answers)
    for question in _questions():
        if question.key in answers:
            continue
        default = question.default(_filled(answers))
        if ask:
            answers[question.key] = _prompt(question, default, answers)
        elif default is None:
            raise InputError(f"{question.option} is missing; give it, or leave out --yes to be asked")
    return _filled(answers)


def _filled(answers: Answers) -> Answers:
    """In the order of the questions, with defaults, or samples that load, for what was not answered yet."""
    filled: Answers = {}
    for question in _questions():
        default = question.default(filled)
        filled[question.key] = answers.get(question.key, _SAMPLES.get(question.key) if default is None else default)
    return filled


def _read_option(question: Question, given: str | list[str], answers: Answers) -> Any:
    from leadapron.errors import InputError

    try:
        return _read(question, given if isinstance(given, str) else ",".join(given), answers)
    except ValueError as error:
        raise InputError(f"{question.option}: {error}") from None


def _read(question: Question, text: str, answers: Answers) -> Any:
    """The answer, which goes together with those before it. Raises ValueError: what is wrong with what, what to do."""
    try:
        value = question.read(text)
    except ValueError as error:
        subject = repr(text) if text.strip() and len(text) <= SHORT and text.isprintable() else "this"
        raise ValueError(f"{subject} {error}" if str(error).startswith("is ") else str(error)) from None
    if (mistake := _mistake(_filled({**answers, question.key: value}))) is not None:
        raise ValueError(str(mistake))
    return value


def _mistake(answers: Answers) -> InputError | None:
    """What the reader of scope files says of a file of these answers. It has no line yet."""
    from leadapron.errors import InputError, ScopeErrors
    from leadapron.scope.read import parse_scope

    path = Path("scope.toml")
    try:
        parse_scope(render(answers, path).encode(), path, today=_today())
    except ScopeErrors as found:
        return InputError("; ".join(f"{error.problem}; {error.remedy}" for error in found.errors))
    return None


def _prompt(question: Question, default: Any | None, answers: Answers) -> Any:
    """Ask until the answer can be used. An empty answer takes the default."""

    def read(text: str) -> Any:
        try:
            return _read(question, text, answers)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    shown = ", ".join(default) if isinstance(default, list) else default
    return typer.prompt(
        f"{question.text} (empty: none)" if shown == "" else question.text,
        default=None if shown is None else str(shown),
        show_default=bool(shown),
        value_proc=read,
        err=True,
    )


def _questions() -> list[Question]:
    """In the order of asking; a default may depend on what was answered before."""
    from leadapron.model import VantageKind
    from leadapron.scope import parse

    def required(_: Answers) -> None:
        return None

    def choice(names: list[str]) -> Callable[[str], str]:
        return lambda text: _choice(text, names)

    kinds, bases = [kind.value for kind in VantageKind], ["owner", "partner", "statutory"]
    depths = ["connect", "talk", "count", "census"]
    return [
        Question("scope_id", "--id", "Identifier of the scope", parse.identifier, lambda _: "own-estate"),
        Question("contact", "--contact", "Who may be asked about our connections", parse.line, required),
        Question("email", "--email", "Their e-mail address", parse.email, required),
        Question(
            "calling_aet", "--calling-aet", "AE title that we call ourselves", parse.ae_title, lambda _: "LEADAPRON"
        ),
        Question("vantage", "--vantage", f"Where we look from ({', '.join(kinds)})", choice(kinds), lambda _: kinds[0]),
        Question("vantage_name", "--vantage-name", "Name of this host", parse.line, lambda _: _host()),
        Question(
            "grant_id",
            "--grant",
            "Identifier of the grant",
            parse.identifier,
            lambda a: f"{a['scope_id']}-{_today():%Y}",
        ),
        Question("owner", "--owner", "Whose systems these are", parse.line, required),
        Question("basis", "--basis", f"Basis ({', '.join(bases)})", choice(bases), lambda _: bases[0]),
        Question("party", "--party", "The partner's name", parse.optional_line, lambda _: ""),
        Question("granted_by", "--granted-by", "Who authorised it", parse.line, required),
        Question("reference", "--reference", "Letter, ticket or law", parse.optional_line, _reference),
        Question("valid_from", "--valid-from", "First day (UTC)", _day, lambda _: _today()),
        Question("valid_until", "--valid-until", "Last day (UTC)", _day, _last_day),
        Question("country", "--country", "Country, two letters", parse.country, lambda _: ""),
        Question("depth", "--depth", f"How far we may go ({', '.join(depths)})", choice(depths), lambda _: "count"),
        Question("networks", "--network", "Networks, with commas between", _list_of(parse.network), lambda _: []),
        Question(
            "names",
            "--network or --name",
            "Host names, with commas between",
            _list_of(parse.host_name),
            lambda a: [] if a["networks"] else None,
        ),
        Question("exclude", "--exclude", "Networks to leave alone", _list_of(parse.network), lambda _: []),
    ]


def _reference(answers: Answers) -> str | None:
    """A statutory basis has to be cited."""
    return None if answers["basis"] == "statutory" else ""


def _last_day(answers: Answers) -> dt.date:
    first: dt.date = max(answers["valid_from"], _today())
    return first + min(dt.timedelta(DAYS), dt.date.max - first)


def _choice(text: str, names: list[str]) -> str:
    if text not in names:
        raise ValueError(f"{text!r} is not one of {', '.join(names)}")
    return text


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a date; write it as 2027-02-01") from None


def _list_of(read: Callable[[str], object]) -> Callable[[str], list[str]]:
    return lambda text: [str(read(item)) for item in text.split(",") if item.strip()]


def _host() -> str:
    """The name of this machine, as far as the file takes it."""
    return "".join(character for character in platform.node() if character.isprintable())[:200] or "this-host"
