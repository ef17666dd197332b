"""One network, optimised without the judge and compared in ONNX Runtime: `try_out(seed)`.

The comparison shares nothing with the project. How far outputs may be from the original's is taken
from the original alone: how far it moves when the runtime optimises it, and when its inputs and
weights are changed in their last digits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

import normonnx

from .architecture import assemble
from .draft import Array
from .execution import (
    Feeds,
    attempt,
    graphs,
    has_half,
    nudged,
    opened,
    run,
    runs,
    with_nudged_weights,
)
from .network import Network

TARGETS = ("onnx", "ort", "normonnx")
OTHER_SIZES = ((1, 1), (2, 0), (1, 4))
"""Open sizes so many times larger, and by so much more; the first that the original takes."""

NUDGES = 3
MARGIN = 20.0
"""How often the original's own movement is allowed."""

ULPS = 16.0
"""What is allowed at least, in units of the type against the largest element."""

UNPROVED = "no certificate: "


@dataclass
class Trial:
    """What became of a network.

    Attributes:
        seed: of the network.
        target: what it was optimised for.
        rewrites: how many were made.
        sizes: at how many bindings of the open sizes it was compared.
        wrong: differences, one sentence each.
        runs: whether ONNX Runtime runs the original at all.
        crash: what was raised, or why the result does not load; "" if nothing was.
        unproved: reasons of rewrites that were lost to the proof.
        left: BatchNormalizations more than the runtime's basic level leaves.
        left_because: why, where there are any.
    """

    seed: int
    target: str
    rewrites: int = 0
    sizes: int = 0
    runs: bool = True
    wrong: list[str] = field(default_factory=list)
    crash: str = ""
    unproved: list[str] = field(default_factory=list)
    left: int = 0
    left_because: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Expected:
    """What the original makes of some feeds.

    Attributes:
        feeds: the inputs.
        outputs: what it makes of them without optimisations.
        allowed: how far each output may be from that.
    """

    feeds: Feeds
    outputs: list[Array]
    allowed: list[float]


def try_out(seed: int, *, count_left: bool = False) -> Trial:
    """Assemble, optimise, compare.

    Args:
        seed: of the network; the target follows from it.
        count_left: whether to have the runtime fold as well, and count what it leaves.
    """
    network = assemble(seed)
    trial = Trial(seed, TARGETS[seed % len(TARGETS)])
    if not runs(network.model, network.feeds):
        trial.runs = False
        return trial
    try:
        result = normonnx.optimize(network.model, target=trial.target, verify=False)
        made = onnx.ModelProto.FromString(result.to_bytes(unverified=True))
        onnx.checker.check_model(made)
    except Exception as error:
        trial.crash = _told(error)
        return trial
    trial.rewrites = len(result.report.rewrites)
    misses = result.report.near_misses
    reasons = [miss.reason for miss in misses]
    trial.unproved = [r.removeprefix(UNPROVED) for r in reasons if r.startswith(UNPROVED)]
    if count_left:
        trial.left = max(0, batch_norms(made) - left_by_runtime(network.model))
    if trial.left:
        trial.left_because = [m.reason for m in misses if m.kind == "BatchNormalization"]
    if trial.rewrites or made.graph.node != network.model.graph.node:
        _compare(trial, made, expected(network))
    return trial


def _compare(trial: Trial, made: onnx.ModelProto, right: Sequence[Expected]) -> None:
    trial.sizes = len(right)
    ours = any(node.domain == "normonnx" for graph in graphs(made) for node in graph.node)
    for library in (None, normonnx.library_path()) if ours else (None,):
        try:
            session = opened(made, library=library)
            outputs = [run(session, one.feeds) for one in right]
        except Exception as error:
            trial.crash = _told(error)
            return
        for one, found in zip(right, outputs, strict=True):
            shapes = [feed.shape for feed in one.feeds.values()]
            trial.wrong += [f"{flaw}, at {shapes}" for flaw in differences(one, found)]


def differences(right: Expected, found: Sequence[Array]) -> Iterator[str]:
    """What is wrong with the outputs, one sentence each."""
    for i, (a, b, allowed) in enumerate(zip(right.outputs, found, right.allowed, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            yield f"output {i} is {b.dtype}{b.shape} instead of {a.dtype}{a.shape}"
        elif not np.array_equal(np.isfinite(a), np.isfinite(b)):
            yield f"output {i} is finite elsewhere"
        elif (worst := _distance(a, b)) > allowed:
            size = _largest(a)
            yield f"output {i} is off by {worst:.2g} of {size:.2g}, allowed are {allowed:.2g}"


def bindings(network: Network) -> list[Feeds]:
    """The network's feeds, and some at other sizes if it takes any."""
    made = [network.feeds]
    if not any(network.open.values()):
        return made
    for times, more in OTHER_SIZES:
        feeds = network.resized(times, more)
        if runs(network.model, feeds):
            return [*made, feeds]
    return made


def expected(network: Network) -> list[Expected]:
    """Outputs at each binding, with what they may be off by."""
    rng = np.random.default_rng([network.seed, 11])
    size = 2.0**-11 if has_half(network.model) else 2.0**-23
    others = [with_nudged_weights(network.model, size, rng) for _ in range(NUDGES)]
    plain, found = opened(network.model), []
    for feeds in bindings(network):
        outputs = run(plain, feeds)
        moved = [attempt(network.model, feeds, level="ENABLE_ALL")]
        for other in others:
            arrays = nudged(list(feeds.values()), size, rng)
            moved.append(attempt(other, dict(zip(feeds, arrays, strict=True))))
        allowed = [
            MARGIN * max((_distance(output, near[i]) for near in moved if near), default=0.0)
            + ULPS * size * _largest(output)
            for i, output in enumerate(outputs)
        ]
        found.append(Expected(feeds, outputs, allowed))
    return found


def _distance(a: Array, b: Array) -> float:
    """The largest difference where both are finite."""
    if a.shape != b.shape:
        return 0.0
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.abs(a[both].astype(np.float64) - b[both]).max(initial=0.0))


def _largest(a: Array) -> float:
    return float(np.abs(a[np.isfinite(a)].astype(np.float64)).max(initial=0.0))


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:300]


def batch_norms(model: onnx.ModelProto) -> int:
    """BatchNormalization nodes, wherever they are."""
    return sum(node.op_type == "BatchNormalization" for g in graphs(model) for node in g.node)


def left_by_runtime(model: onnx.ModelProto) -> int:
    """What ONNX Runtime leaves of them at its basic level, or all where that fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            opened(model, level="ENABLE_BASIC", written=path)
            return batch_norms(onnx.load(path))
        except Exception:
            return batch_norms(model)
