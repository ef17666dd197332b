"""The certificate of a rewrite: both sides cut out, evaluated in float64, and compared.

It shares nothing with the engines: it looks at the old nodes and the new ones, cuts both out down
to the values they share (`window`), feeds them random tensors of several magnitudes (`sizes`), and
has the oracle that also judges whole models evaluate both in float64 (`compare`). New constants
enter with their exact float64 values; that each stored tensor is that value rounded once is checked
separately (`stored`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import Struct
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from normonnx.proof import structure
from normonnx.proof.compare import (
    TOLERANCE,
    DifferentError,
    Prepared,
    compared,
    in_short,
    prepare,
)
from normonnx.proof.sizes import Sizes, bindings, drawn, extents_of
from normonnx.proof.stored import flaw_of
from normonnx.proof.window import Flaw, Window, cut

__all__ = ["TOLERANCE", "Flaw", "Window", "certify"]

_MAGNITUDES = ((1.0, 0.0), (1e-3, 0.0), (30.0, 10.0))
"""Standard deviation and mean of the random inputs of each evaluation."""

_AFFINE_MAGNITUDES = _MAGNITUDES[:2]
"""The same where both sides are affine: one shows the linear part, the other the constant one."""

_SMALL = 3
_LOCAL = 2
"""What a large dimension is shrunk to, or to more where a kernel spans more: every weight has to be
met. Two elements do for what is local; from two numbers a normalisation makes ±1 of any.
"""

_PARALLEL_FROM = 1 << 18
"""Elements of a new weight from which on its products are shared out among threads."""


def certify(window: Window) -> str | Flaw:
    """Prove a rewrite on float64 windows; returns how, in one line, or the flaw."""
    # To hand a small product to other threads takes longer than to make it.
    largest = max((exact.size for exact in window.exact.values()), default=0)
    if largest >= _PARALLEL_FROM:
        return _certify(window)
    with _threads().limit(limits=1, user_api="blas"):
        return _certify(window)


@cache
def _threads() -> Any:
    return ThreadpoolController()


def _certify(window: Window) -> str | Flaw:
    if flaw := flaw_of(window):
        return flaw
    new_side = cut(window, window.new, stop=None)
    old_side = cut(window, window.old, stop=frozenset(new_side.inputs))
    inputs = tuple(dict.fromkeys((*new_side.inputs, *old_side.inputs)))
    nodes = (*old_side.nodes, *new_side.nodes)
    constants = {**old_side.constants, **new_side.constants}
    least = _LOCAL if structure.is_local(nodes) else _SMALL
    smallest = max(least, *map(structure.reach, nodes), 0)
    affine = structure.is_affine(nodes, constants)
    search = _Search(
        window,
        prepare(window, old_side),
        prepare(window, new_side),
        _AFFINE_MAGNITUDES if affine else _MAGNITUDES,
    )
    return search.among(bindings(window, inputs, extents_of(nodes, constants), smallest))


class _Search(Struct):
    """The look for sizes that decide.

    Attributes:
        window: what is proved.
        old: the nodes as they are.
        new: the nodes that stand for them.
        magnitudes: of the inputs.
        flaw: why there is no certificate so far.
        partly: the certificate in which not every element of every kernel had a part.
        doubtful: levels of shrinking at which the sides differed.
    """

    window: Window
    old: Prepared
    new: Prepared
    magnitudes: tuple[tuple[float, float], ...]
    flaw: Flaw = Flaw("its shapes could not be determined")
    partly: str = ""
    doubtful: frozenset[int] = frozenset()

    def among(self, every: Iterator[Sizes]) -> str | Flaw:
        """The certificate, or the flaw: the first sizes that decide, the true ones at the last."""
        for sizes in every:
            if sizes.level in self.doubtful:
                continue
            decided = self._at(sizes)
            if decided is not None:
                return decided
        return self.partly or self.flaw

    def _at(self, sizes: Sizes) -> str | Flaw | None:
        try:
            feeds = drawn(self.window, tuple(sizes.bound), sizes)
            worst, wholly = compared(self.old, self.new, feeds, self.magnitudes)
        except DifferentError as error:
            # What was made smaller may have made the difference; the true sizes do not.
            self.flaw = Flaw(str(error))
            self.doubtful |= {sizes.level}
            return self.flaw if sizes.are_true else None
        except Exception as error:  # sizes that do not fit: try the next
            self.flaw = self.flaw if self.doubtful else Flaw(in_short(error))
            return None
        agreed = f"float64 windows agree to {worst:.1e}{_as_read(self.window)}"
        self.partly = agreed if sizes.are_true else self.partly
        return agreed if wholly else None


def _as_read(window: Window) -> str:
    readings = [
        f"'{value.name}' as 1/{1 / exact.reshape(-1)[0]:.0f}"
        for value, exact in window.readings.items()
    ]
    return f", reading {', '.join(readings)}" if readings else ""
