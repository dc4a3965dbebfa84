"""What is asked about TLS at one endpoint, and what is known then. Pure functions of the attempts, by their names.

offer ──chosen──► handshake ──► (the protocol's own questions inside) ──► the other offers
  └─refused──► lower versions
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from leadapron.model import Attempt, Completed, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Job
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake, Handshaking
from leadapron.protocols.tls.offers import Negotiated, Probe, learn, next_offer, resumed
from leadapron.protocols.tls.verdict import Facts, verdict

Attempts = Mapping[str, Attempt[Any]]

ABOUT = "tls:"
"""How the names of all attempts of this plan begin."""
HANDSHAKE = f"{ABOUT}handshake"


def is_spoken(attempts: Attempts) -> bool:
    """Whether a version and a suite were negotiated."""
    return any(isinstance(each.attempt, Completed) and isinstance(each.attempt.result, Negotiated)
               for each in resumed(attempts))  # fmt: skip


def entering(attempts: Attempts, endpoint: Endpoint, *, now: dt.datetime) -> Job[Any] | None:
    """The next job until it is known whether TLS is spoken, with what certificate, and whether it wants one of ours.

    `now` dates the certificate.
    """
    if not is_spoken(attempts):
        return settling(attempts, endpoint)
    if HANDSHAKE in attempts:
        return None
    return Handshaking(name=HANDSHAKE, endpoint=endpoint, now=now)


def settling(attempts: Attempts, endpoint: Endpoint) -> Job[Any] | None:
    """The next offer, until it is known which versions and classes of suites are accepted."""
    known = resumed(attempts)
    offer = next_offer(known)
    return None if offer is None else Probe(endpoint=endpoint, number=len(known) + 1, offer=offer)


def why_not(attempts: Attempts) -> Failed | None:
    """Why nothing was negotiated, where the peer speaks TLS: it refused every offer. None where it does not speak it."""
    known = resumed(attempts)
    if is_spoken(attempts) or not any(isinstance(each.attempt, Completed) for each in known):
        return None
    return Failed(stage=Stage.TLS, reason=Reason.TLS, detail="every offer was refused")


def handshake(attempts: Attempts) -> Handshake | None:
    """What one whole handshake showed; None where there was none, or it failed."""
    attempt = attempts.get(HANDSHAKE)
    return attempt.result if isinstance(attempt, Completed) else None


def why_no_handshake(attempts: Attempts) -> Failed | None:
    """Why the whole handshake, where one was tried, showed nothing: neither the certificate, nor whether ours is wanted."""
    attempt = attempts.get(HANDSHAKE)
    return attempt if isinstance(attempt, Failed) else None


def demands_certificate(attempts: Attempts) -> bool:
    """Whether nobody gets in without a client certificate."""
    known = handshake(attempts)
    return known is not None and known.client_certificate is ClientCertificate.DEMANDED


def hung_up_on_us(attempts: Attempts) -> bool:
    """Whether it asked for a client certificate, and then hung up without a word."""
    known = handshake(attempts)
    return known is not None and known.client_certificate is ClientCertificate.ASKED


def facts(attempts: Attempts) -> Facts:
    """All that is known, named `tls.…` (docs/tls.md)."""
    return verdict(learn(resumed(attempts)), handshake(attempts))


def spki_sha256(attempts: Attempts) -> str:
    """The keyed hash of the server's public key, "" where it is not known."""
    known = handshake(attempts)
    return "" if known is None or known.certificate is None else known.certificate.spki_sha256
