"""Where the time goes: what ONNX Runtime's profiler says of each operator."""

from __future__ import annotations

import bisect
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normonnx.benching.options import Registered, Setting
from normonnx.benching.result import OperatorTime
from normonnx.benching.runner import needed, open_session
from normonnx.runtime.element_types import prepared

_RUNS = 20
_WARM_UP = 3

Profile = Mapping[str, tuple[float, int]]
"""Seconds per run and number of nodes, by operator."""


def profile(
    model: Path,
    feeds: Mapping[str, Any],
    setting: Setting,
    registered: Registered,
    directory: Path,
) -> Profile:
    """Run a model with the profiler on, and add up its nodes by operator."""
    session = open_session(model, setting, registered, profile_to=directory / "profile")
    run = prepared(session, needed(session, feeds))
    for _ in range(_WARM_UP + _RUNS):
        run()
    path = Path(session.end_profiling())
    events = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return _by_operator(events)


def _by_operator(events: list[dict[str, Any]]) -> Profile:
    """The median over the runs of what each operator took in one."""
    begins = sorted(event["ts"] for event in events if event["name"] == "model_run")
    runs = len(begins)
    seconds: dict[str, list[float]] = {}
    nodes: dict[str, set[str]] = {}
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        run = bisect.bisect_right(begins, event["ts"]) - 1
        operator = str(event["args"].get("op_name", "?"))
        seconds.setdefault(operator, [0.0] * runs)[run] += event["dur"] / 1e6
        nodes.setdefault(operator, set()).add(event["name"])
    return {
        op: (statistics.median(per_run[_WARM_UP:]), len(nodes[op]))
        for op, per_run in seconds.items()
    }


def difference(before: Profile, after: Profile) -> tuple[OperatorTime, ...]:
    """The operators of two models, the greatest change first."""
    found = [
        OperatorTime(op, before.get(op, (0.0, 0)), after.get(op, (0.0, 0)))
        for op in sorted({*before, *after})
    ]
    return tuple(sorted(found, key=lambda time: -abs(time.change)))
