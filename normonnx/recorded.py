"""Outputs that were saved, by another machine or runtime say, against what a model gives here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from normonnx.errors import UsageError
from normonnx.feeds.datasets import recorded_outputs
from normonnx.running import Runs

RTOL, ATOL = 1e-3, 1e-5
"""Where the user gives no tolerances: what float32 kernels of different makes differ by."""


class Compared(Struct, frozen=True):
    """How outputs compare with those that were saved.

    Attributes:
        count: how many outputs were compared, over all sets of inputs.
        far: the sentence on the first output that is too far from what was saved, or "".
        most: the greatest difference, absolute.
    """

    count: int
    far: str
    most: float

    def sentence(self) -> str:
        """Such as ``saved outputs: all 3 agree, to within 2e-07``."""
        if self.far:
            return f"saved outputs: {self.far}"
        return f"saved outputs: all {self.count} agree, to within {self.most:.2g}"


def compare(
    found: Runs,
    path: Path,
    *,
    rtol: Mapping[str, float] | None = None,
    atol: Mapping[str, float] | None = None,
) -> Compared:
    """Compare what a model gave with what was saved.

    Args:
        found: the runs of the model on the inputs that were saved.
        path: where they were saved, as `feeds.datasets.save` writes.
        rtol: relative tolerance by output, "" for all.
        atol: as `rtol`, absolute.

    Raises:
        UsageError: nothing that was saved is an output of the model.
    """
    names = list(found.runs[0].outputs) if found.runs else []
    saved = recorded_outputs(path, names)
    count, most, far = 0, 0.0, ""
    for one, expected in zip(found.runs, saved, strict=True):
        for name, wanted in expected.items():
            count += 1
            bounds = _bound(rtol, name, RTOL), _bound(atol, name, ATOL)
            difference, is_far = _differ(one.outputs[name], wanted, *bounds)
            most = max(most, difference)
            if is_far and not far:
                far = f"'{name}' of {one.title} differs by up to {difference:.3g}"
    if not count:
        raise UsageError(
            f"{path} holds no output of the model", hint=f"outputs are {', '.join(names)}"
        )
    return Compared(count, far, most)


def _bound(given: Mapping[str, float] | None, name: str, otherwise: float) -> float:
    return otherwise if given is None else given.get(name, given.get("", otherwise))


def _differ(value: Any, wanted: Any, rtol: float, atol: float) -> tuple[float, bool]:
    """The greatest difference of two tensors, and whether it is more than is allowed."""
    here, there = np.asarray(value), np.asarray(wanted)
    if here.shape != there.shape:
        return float("inf"), True
    if here.dtype.kind in "OUSb" or there.dtype.kind in "OUSb":
        is_far = not np.array_equal(here, there)
        return float(is_far), is_far
    wide = here.astype(np.float64), there.astype(np.float64)
    is_far = not np.allclose(*wide, rtol=rtol, atol=atol, equal_nan=True)
    with np.errstate(all="ignore"):
        gaps = np.abs(wide[0] - wide[1])
    return float(np.nanmax(gaps, initial=0.0)), is_far
