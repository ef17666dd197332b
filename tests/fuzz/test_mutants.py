"""Five hundred mutants: none crashes, hangs, ends in an error nobody foresaw, or becomes wrong.

python -m tests.fuzz      tries ten thousand
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.fuzz.mutate import mutant
from tests.fuzz.trial import BROKEN, Bench, compare, rewrite

_PARTS = 10
_COUNT = 500
_WHOLE_EVERY = 25


@pytest.mark.parametrize("part", range(_PARTS))
def test_mutants(part: int) -> None:
    numbers = range(part, _COUNT, _PARTS)
    with Bench() as bench:
        trials = [bench.try_out(mutant(n), whole=n % _WHOLE_EVERY == 0) for n in numbers]
    assert [trial for trial in trials if trial.outcome in BROKEN] == []
    assert sum(trial.outcome == "equal" for trial in trials) >= 2, "some are worth rewriting"


def test_a_number_names_one_mutant() -> None:
    for number in (1, 2, 3, 40):
        first, again = mutant(number), mutant(number)
        assert first == again
        assert first.content != mutant(number + 3).content


def test_the_comparison_sees_what_is_wrong() -> None:
    """A weight that is off by a hundredth in the result is found, and a result that is no model."""
    from tests.hostile.blocks import dense, weight

    wrong = weight()
    values = np.frombuffer(wrong.raw_data, np.float32).copy()
    values[100:] *= 1.01
    wrong.raw_data = values.tobytes()
    before = dense().SerializeToString()
    assert compare(before, before) == ""
    assert "off by" in compare(before, dense(wrong).SerializeToString())
    assert "does not run any more" in compare(before, b"\0")
    assert compare(b"\0", before).startswith("?")
    assert rewrite(b"\0").outcome == "refused"
