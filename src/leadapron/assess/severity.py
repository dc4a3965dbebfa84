"""How bad a finding is: a base by vantage, then steps by access and volume. `docs/severity.md` is the rule in words."""

from __future__ import annotations

from leadapron.assess.catalogue import Control
from leadapron.model import Count, Observation, Severity, VantageKind, Verdict

VOLUME = {"patients": 1_000, "studies": 1_000, "images": 100_000, "worklist": 1_000}
"""At least so many of one of these make a large archive. The lower end of a count decides, so a guess never raises."""


def is_listed(observation: Observation) -> bool:
    """Step `list`: a stranger got a list."""
    return observation.access.list is Verdict.PROVEN


def is_large(observation: Observation) -> bool:
    """Step `volume`: a stranger got a list, and what is behind it is a large archive."""
    counted: dict[str, Count | None] = {name: getattr(observation.counts, name) for name in VOLUME}
    return is_listed(observation) and any(
        count is not None and count.low >= VOLUME[name] for name, count in counted.items()
    )


def is_identified(observation: Observation) -> bool:
    """Step `identified`: a stranger got a list, and half of its records at least have a patient's name."""
    census = observation.census
    return census is not None and is_listed(observation) and 2 * census.present.get("PatientName", 0) >= census.sampled


STEPS = {"list": is_listed, "volume": is_large, "identified": is_identified}
"""Each raises by one, where the control names it in `raised_by`."""

NOBODYS = {"deidentified": 1, "test": 2, "public-sample": 2, "honeypot": 2}
"""By verdict on genuineness: so much lower is a control that volume raises, and no step raises any."""


def rate(control: Control, observation: Observation, vantage: VantageKind) -> Severity | None:
    """None: the control is not judged from this vantage."""
    base = control.base.get(vantage)
    if base is None:
        return None
    by_rank = sorted(Severity, key=lambda severity: severity.rank)
    nobodys = NOBODYS.get(observation.genuineness.verdict) if observation.genuineness is not None else None
    if nobodys is not None:
        return by_rank[max(base.rank - nobodys * ("volume" in control.raised_by), Severity.INFO.rank)]
    steps = sum(STEPS[name](observation) for name in control.raised_by)
    return by_rank[min(base.rank + steps, Severity.CRITICAL.rank)]
