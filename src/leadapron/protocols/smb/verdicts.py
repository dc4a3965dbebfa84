"""What the answers mean: the table of `docs/smb.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Failed,
    Observation,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.protocols.base import Case
from leadapron.protocols.files.verdicts import observe
from leadapron.protocols.smb.jobs import BLANK, HELLO, SMB1, TREE
from leadapron.protocols.smb.results import LoggedIn, Share, Smb1, Spoken

PROTOCOL = "smb"

_VERSION = re.compile(r"[0-9A-Za-z.,-]{1,32}")
_SAMBA = (6, 1, 0)
"""What Samba says in every NTLMSSP challenge, in all its versions; no Windows has a build 0."""
_FIRST_WINDOWS_BUILD = 2195
"""Windows 2000."""
_ONLY_SMB1 = Failed(stage=Stage.LIST, reason=Reason.PROTOCOL, detail="the server speaks SMB 1 only, which we do not")

Attempts = Mapping[str, Attempt[Any]]


def may_log_in(case: Case) -> bool:
    return case.terms.blank_login and case.terms.depth >= Depth.COUNT


def conclude(case: Case, attempts: Attempts) -> tuple[list[Observation], Failed | None]:
    """The endpoint itself, then each of its shares; or why there is nothing to see."""
    hello = attempts.get(HELLO, Failed(stage=Stage.CONNECT, reason=Reason.STOPPED))
    smb1 = attempts.get(SMB1)
    facts: dict[str, int | bool] = {}
    if isinstance(smb1, Completed) and isinstance(smb1.result, Smb1):
        facts["smb1"] = smb1.result.answered
    if isinstance(hello, Failed) and not facts.get("smb1"):
        return [], hello
    if isinstance(hello, Failed):
        asks = may_log_in(case)
        access = _access(Verdict.UNKNOWN if asks else Verdict.NOT_ASKED)
        return [_observation(case, "", access, facts, unknowns=(_ONLY_SMB1,) if asks else ())], None
    blank = attempts.get(BLANK)
    facts |= _spoken(hello.result) | _logged_in(blank)
    product = product_of(blank.result) if isinstance(blank, Completed) else Product()
    missed = tuple(each for each in (smb1,) if isinstance(each, Failed))
    verdict, why = _listing(blank) if may_log_in(case) else (Verdict.NOT_ASKED, ())
    endpoint = _observation(case, "", _access(verdict), facts, product=product, unknowns=why + missed)
    return [endpoint, *_shares(case, attempts, product)], None


def _spoken(hello: Spoken) -> dict[str, int | bool]:
    return {
        "smb_version": hello.version,
        "signing_enabled": hello.signing_enabled,
        "signing_required": hello.signing_required,
        "encryption_offered": hello.encryption,
    }


def _logged_in(blank: Attempt[LoggedIn] | None) -> dict[str, int | bool]:
    if not isinstance(blank, Completed):
        return {}
    found = blank.result
    facts: dict[str, int | bool] = {"session_accepted": found.accepted}
    if not found.accepted or found.is_listed or _is_denied(found):
        facts["blank_login_accepted"] = found.is_listed
    if found.accepted:
        facts |= {
            "guest_session": found.is_guest,
            "null_session": found.is_null,
            "session_encrypted": found.encrypts,
            "shares_listed": found.is_listed,
        }
    if found.is_listed:
        facts |= {
            "shares": len(found.shares) + found.left_out,
            "shares_open": sum(1 for each in found.shares if each.refused is None),
            "shares_hidden": found.hidden,
            "shares_left_out": found.left_out,
        }
    return facts


def _is_denied(found: LoggedIn) -> bool:
    """Whether the server refused the session, or everything in it: some accept one from anybody, and then let nobody in."""
    return found.ended is not None and found.ended.reason is Reason.AUTH


def _listing(blank: Attempt[LoggedIn] | None) -> tuple[Verdict, tuple[Failed, ...]]:
    """Of the endpoint: a list of shares is none of files, so that it is never proven here."""
    if blank is None:
        return Verdict.UNKNOWN, (Failed(stage=Stage.LIST, reason=Reason.BUDGET),)
    if isinstance(blank, Failed):
        return Verdict.UNKNOWN, (blank,)
    found = blank.result
    unknowns: tuple[Failed, ...] = ()
    if found.left_out:
        unknowns = (Failed(stage=Stage.LIST, reason=Reason.LIMIT, detail="shares were left out"),)
    if found.ended is not None:
        return (Verdict.REFUSED, unknowns) if _is_denied(found) else (Verdict.UNKNOWN, (found.ended, *unknowns))
    if not found.shares:
        return Verdict.UNKNOWN, (Failed(stage=Stage.LIST, reason=Reason.EMPTY),)
    return (Verdict.UNKNOWN, unknowns) if unknowns else (Verdict.NOT_ASKED, ())


def _shares(case: Case, attempts: Attempts, product: Product) -> Iterator[Observation]:
    blank = attempts.get(BLANK)
    if not isinstance(blank, Completed) or not may_log_in(case):
        return
    for each in blank.result.shares:
        yield _share(case, each, attempts.get(TREE + each.shown), product)


def _share(case: Case, share: Share, attempt: Attempt[Any] | None, product: Product) -> Observation:
    write = Verdict.OFFERED if share.may_write else Verdict.REFUSED
    facts: dict[str, int | bool] = {"share_encrypted": share.encrypts}
    if share.refused is None and isinstance(attempt, Completed):
        service = Service(endpoint=case.endpoint, protocol=PROTOCOL, resource=share.shown)
        facts["clear"] = True  # a session without a name has no key to encrypt with
        seen: Observation = observe(attempt.result, service, case.terms, facts=facts, product=product)
        return replace(seen, access=replace(seen.access, write=write))
    if share.refused is not None:
        why = Failed(stage=Stage.LIST, reason=share.refused)
        facts, write = {}, Verdict.REFUSED if share.refused is Reason.AUTH else Verdict.UNKNOWN
    else:
        why = attempt if isinstance(attempt, Failed) else Failed(stage=Stage.LIST, reason=Reason.BUDGET)
    if why.reason is Reason.AUTH:
        return _observation(case, share.shown, _access(Verdict.REFUSED, write), facts, product=product)
    return _observation(case, share.shown, _access(Verdict.UNKNOWN, write), facts, product=product, unknowns=(why,))


def _access(verdict: Verdict, write: Verdict = Verdict.NOT_ASKED) -> Access:
    """Reached and spoken to; `verdict` on both list and read."""
    return Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict, write=write)


def _observation(
    case: Case,
    resource: str,
    access: Access,
    facts: Mapping[str, int | bool],
    *,
    product: Product | None = None,
    unknowns: tuple[Failed, ...] = (),
) -> Observation:
    return Observation(
        service=Service(endpoint=case.endpoint, protocol=PROTOCOL, resource=resource),
        access=access,
        product=product or Product(),
        owner=case.terms.owner,
        facts=facts,
        unknowns=unknowns,
    )


def product_of(found: LoggedIn) -> Product:
    """From the version in the challenge; nothing where it says none."""
    claimed = (found.major, found.minor, found.build)
    if claimed == _SAMBA:
        return Product(name="Samba", confidence="source")
    version = ".".join(map(str, claimed))
    if found.build >= _FIRST_WINDOWS_BUILD and _VERSION.fullmatch(version):
        return Product(name="Windows", version=version, confidence="secondary")
    return Product()
