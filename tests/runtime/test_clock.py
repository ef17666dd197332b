"""Runs are stopped when their time is over, and only then."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from normonnx.runtime.clock import Clock


@dataclass
class Options:
    terminate: bool = False


def wait(options: Options, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not options.terminate and time.monotonic() < end:
        time.sleep(0.002)
    return options.terminate


def test_a_run_is_told_when_its_time_is_over() -> None:
    clock, options = Clock(), Options()
    with clock.limiting(options, 0.02):
        assert wait(options)


def test_the_earlier_end_comes_first() -> None:
    clock, late, early = Clock(), Options(), Options()
    with clock.limiting(late, 1000), clock.limiting(early, 0.02):
        assert wait(early)
        assert not late.terminate


def test_a_run_that_has_ended_is_not_told() -> None:
    clock, after = Clock(), Options()
    for seconds in (0.02, 0.2, 2.0):  # on a busy machine even this block may be late
        done = Options()
        with clock.limiting(done, seconds):
            pass
        if not done.terminate:
            break
    with clock.limiting(after, 3 * seconds):
        assert wait(after)
    assert not done.terminate


def test_without_a_limit_nobody_watches() -> None:
    clock, options = Clock(), Options()
    with clock.limiting(options, math.inf):
        assert clock._thread is None
    assert not options.terminate


def test_many_runs_have_one_thread() -> None:
    clock = Clock()
    with clock.limiting(Options(), 100):
        first = clock._thread
    for _ in range(20):
        with clock.limiting(Options(), 100):
            assert clock._thread is first
