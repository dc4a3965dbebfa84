import errno

import pytest

from leadapron.model import Reason
from leadapron.net.target import Outcome, of_error


def test_every_outcome_is_a_success_or_has_its_reason() -> None:
    for outcome in Outcome:
        if outcome in (Outcome.CONNECTED, Outcome.ANSWERED):
            with pytest.raises(KeyError):
                _ = outcome.reason
        else:
            assert isinstance(outcome.reason, Reason)


def test_which_outcomes_prove_an_open_port() -> None:
    assert {outcome for outcome in Outcome if outcome.connected} == {
        Outcome.CONNECTED,
        Outcome.ANSWERED,
        Outcome.SILENT,
        Outcome.HUNG_UP,
        Outcome.OVERLONG,
    }


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ECONNREFUSED, Outcome.REFUSED),
        (errno.ETIMEDOUT, Outcome.TIMEOUT),
        (errno.ECONNRESET, Outcome.RESET),
        (errno.EHOSTUNREACH, Outcome.UNREACHABLE),
        (errno.ENETUNREACH, Outcome.UNREACHABLE),
        (errno.EACCES, Outcome.UNREACHABLE),
        (errno.EINVAL, Outcome.UNREACHABLE),
    ],
)
def test_errors_of_connecting(number: int, outcome: Outcome) -> None:
    assert of_error(number) is outcome
