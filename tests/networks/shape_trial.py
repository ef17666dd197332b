"""One network with shape arithmetic, simplified without the judge and compared in ONNX Runtime.

The outputs have to be the same bits where every rule that was used is exact, and else within some
units in the last place of the narrowest type. They are compared at sizes that the original takes, 1
and an empty dimension among them, and with overridable initializers overridden. Not at two empty
dimensions at once: a Reshape reads a computed 0 as the dimension that was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

import normonnx
from normonnx.rules import RULES

from .execution import Feeds, graphs, has_half, opened
from .shape_arithmetic import Sized, draw_sized
from .sized.sketch import Array

TARGETS = ("onnx", "normonnx")
ULPS = 16.0
"""What rounding may differ by, in units of the type against the largest element."""

_INPUTS = 4.0
"""How large inputs are: what is small by cancellation is held to them."""


@dataclass
class SizedTrial:
    """What became of a network.

    Attributes:
        seed: of the network.
        target: what it was optimised for.
        runs: whether ONNX Runtime runs the original at all.
        nodes: how many there were, and are left, Constants aside.
        sizes: at how many sizes it was compared.
        wrong: differences, one sentence each.
        crash: what was raised, "" if nothing was.
        unproved: reasons of rewrites that were lost to the proof.
    """

    seed: int
    target: str
    runs: bool = True
    nodes: tuple[int, int] = (0, 0)
    sizes: int = 0
    wrong: list[str] = field(default_factory=list)
    crash: str = ""
    unproved: list[str] = field(default_factory=list)


def try_out_sized(seed: int) -> SizedTrial:
    """Draw, simplify, compare."""
    network = draw_sized(seed)
    trial = SizedTrial(seed, TARGETS[seed % len(TARGETS)])
    right = list(_expected(network))
    if not right:
        trial.runs = False
        return trial
    try:
        _compare(trial, network, right)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        trial.crash = f"{type(error).__name__}: {lines[0]}"[:300]
    return trial


def _compare(trial: SizedTrial, network: Sized, right: list[tuple[Feeds, list[Any]]]) -> None:
    asked: dict[str, Any] = {"target": trial.target, "verify": False}
    result = normonnx.optimize(network.model, **asked)
    data = result.to_bytes(unverified=True)
    made = onnx.ModelProto.FromString(data)
    onnx.checker.check_model(made)
    trial.nodes = (_count(network.model), _count(made))
    misses = [miss.reason for miss in result.report.near_misses]
    trial.unproved = [reason for reason in misses if reason.startswith("no certificate")]
    if network.model.ir_version > 3:  # up to which initializers had to be inputs
        trial.wrong += interface_differences(network.model, made)
    again = normonnx.optimize(made, **asked)
    if again.to_bytes(unverified=True) != data:
        rules = sorted({rewrite.rule for rewrite in again.report.rewrites})
        trial.wrong.append(f"simplified again it is another model: {' '.join(rules) or 'bytes'}")
    eps = 2.0**-11 if has_half(network.model) else 2.0**-23
    is_exact = all(RULES[r.rule].exactness == "exact" for r in result.report.rewrites)
    library = normonnx.library_path() if trial.target == "normonnx" else None
    session = opened(made, library=library)
    for feeds, outputs in right:
        sizes = [feed.shape for feed in feeds.values()]
        trial.sizes += 1
        try:
            found = session.run(None, feeds)
        except Exception as error:
            trial.wrong.append(f"does not run at {sizes}: {str(error).splitlines()[0][:200]}")
            continue
        flaws = output_differences(outputs, found, 0.0 if is_exact else ULPS * eps)
        trial.wrong += [f"{flaw}, at {sizes}" for flaw in flaws]


def _expected(network: Sized) -> Iterator[tuple[Feeds, list[Any]]]:
    """Feeds that the original takes, with what it makes of them."""
    try:
        session = opened(network.model)
    except Exception:
        return
    tried = [network.sizes]
    tried += [dict.fromkeys(network.sizes, size) for size in (1, 2, 5)]
    tried += [{**network.sizes, name: size} for name in network.sizes for size in (0, 1, 6)]
    for sizes in tried if network.sizes else [{}]:
        feeds = network.feeds(sizes)
        for given in (feeds, {**feeds, **network.overridden}) if network.overridden else (feeds,):
            try:
                yield given, session.run(None, given)
            except Exception:  # a size that it does not take
                continue


def interface_differences(one: onnx.ModelProto, other: onnx.ModelProto) -> Iterator[str]:
    """How what a caller sees of a model has changed, one sentence each."""
    for part in ("input", "output"):
        before, after = getattr(one.graph, part), getattr(other.graph, part)
        if list(before) != list(after):
            yield f"another {part}: {[v.name for v in before]} became {[v.name for v in after]}"


def output_differences(right: list[Any], found: list[Any], part: float) -> Iterator[str]:
    """What is wrong with outputs, one sentence each.

    Args:
        right: what they are to be.
        found: what they are.
        part: what numbers may be off by, as a part of the largest; 0 for the same bits.
    """
    for index, (a, b) in enumerate(
        zip(map(np.asarray, right), map(np.asarray, found), strict=True)
    ):
        if a.shape != b.shape or a.dtype != b.dtype:
            yield f"output {index} is {b.dtype}{b.shape} instead of {a.dtype}{a.shape}"
        elif a.dtype.kind != "f" or not part:
            if not _same(a, b):
                yield f"output {index} is {b.reshape(-1)[:4]} instead of {a.reshape(-1)[:4]}"
        elif not np.array_equal(np.isfinite(a), np.isfinite(b)) or not np.array_equal(
            a[~np.isfinite(a)], b[~np.isfinite(b)], equal_nan=True
        ):
            yield f"output {index} is finite elsewhere"
        else:
            wide = [np.where(np.isfinite(c), c, 0).astype(np.float64) for c in (a, b)]
            off = float(np.abs(wide[0] - wide[1]).max(initial=0.0))
            if off > part * np.abs(wide[0]).max(initial=_INPUTS):
                yield f"output {index} is off by {off:.2g} of {np.abs(wide[0]).max():.2g}"


def _same(a: Array, b: Array) -> bool:
    """Whether all is equal, the signs of zeros too; any NaN is like another."""
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    signs = np.array_equal(np.signbit(a) | np.isnan(a), np.signbit(b) | np.isnan(b))
    return np.array_equal(a, b, equal_nan=True) and signs


def _count(model: onnx.ModelProto) -> int:
    return sum(node.op_type != "Constant" for graph in graphs(model) for node in graph.node)
