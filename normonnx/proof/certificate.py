"""The certificate of a rewrite: both sides cut out, and shown to be the same function.

It shares nothing with the engines. It looks at the old nodes and the new ones and cuts both out
down to the values that they share (`window`). Where both are the same linear operators, their
numbers are compared as they stand (`linear`); else both are evaluated in float64, by the oracle
that also judges whole models, on random tensors of the sizes that a walk of the original recorded
(`replay`), and compared element by element (`agreement`). New constants enter with their exact
float64 values; that each stored tensor is that value rounded once is checked separately (`stored`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.oracle.threads import one_thread
from normonnx.proof.agreement import TOLERANCE, DifferentError
from normonnx.proof.linear import same_numbers
from normonnx.proof.replay import UnknownSizeError, in_short, replayed
from normonnx.proof.stored import flaw_of
from normonnx.proof.structure import made_the_same
from normonnx.proof.window import Flaw, Side, Window, related_sides, sides
from normonnx.sizes.walk import Walk

__all__ = ["TOLERANCE", "Flaw", "Window", "certify"]

Array = np.ndarray[Any, Any]

_PARALLEL_FROM = 1 << 18
"""Elements of a new weight from which on its products are shared out among threads."""


def certify(window: Window) -> str | Flaw:
    """Prove a rewrite on float64 windows; returns how, in one line, or the flaw."""
    # To hand a small product to other threads takes longer than to make it.
    if any(exact.size >= _PARALLEL_FROM for exact in window.exact.values()):
        return _certify(window)
    with one_thread():
        return _certify(window)


def _certify(window: Window) -> str | Flaw:
    if flaw := flaw_of(window):
        return flaw
    window.constants.confirm(lambda value: _seen(window, value))
    if made_the_same(window):
        return "the same operators on the same values"
    old, new = sides(window)
    for walk in window.recorded.walks:
        walk.go_on(new.nodes, window.opsets)
        if flaw := _of_another_kind(window, walk):
            return flaw
    found = _shown(window, old, new)
    if isinstance(found, Flaw) and (related := related_sides(window, new.inputs)):
        proved = _shown(window, *related)
        return found if isinstance(proved, Flaw) else proved
    return found


def _seen(window: Window, value: ir.Value) -> Iterator[Array]:
    """What a value holds at the recorded sizes, as far as it follows from them."""
    found = (walk.contents(value) for walk in window.recorded.walks)
    return (array for array in found if array is not None)


def _of_another_kind(window: Window, walk: Walk) -> Flaw | None:
    """A new value of another type or shape than the one that it is to stand for."""
    for old, new in zip(window.old, window.new, strict=True):
        one, other = walk.tensor(old), walk.tensor(new)
        if one is not None and other is not None and one != other:
            return Flaw(
                f"'{old.name}' is {one.dtype.name.lower()}{list(one.shape)}, and what is to stand "
                f"for it {other.dtype.name.lower()}{list(other.shape)}"
            )
    return None


def _shown(window: Window, old: Side, new: Side) -> str | Flaw:
    off = same_numbers(window, old, new)
    if off is not None:
        return f"the same operators, float64 numbers agree to {off:.1e}{_told(window, old, new)}"
    return _replayed(window, old, new)


def _replayed(window: Window, old: Side, new: Side) -> str | Flaw:
    """Both sides are evaluated at every binding; one at which they differ is enough to refuse."""
    nothing = Flaw("the model takes no sizes that were tried")
    try:
        found = _furthest(window, old, new, window.recorded.walks, nothing)
        if isinstance(found, Flaw):
            further = window.recorded.further()
            for walk in further:
                walk.go_on(new.nodes, window.opsets)
            found = _furthest(window, old, new, further, found)
    except DifferentError as error:
        return Flaw(str(error))
    if isinstance(found, Flaw):
        return found
    what = "float64 windows" if old.inputs or new.inputs else "constants in float64"
    return f"{what} agree to {found:.1e}{_told(window, old, new)}"


def _furthest(
    window: Window, old: Side, new: Side, walks: Iterable[Walk], flaw: Flaw
) -> float | Flaw:
    """The largest difference at the sizes of some walks; a flaw where none shows anything.

    Raises:
        DifferentError: if the sides differ.
    """
    worst: float | None = None
    for walk in walks:
        try:
            off = replayed(window, old, new, walk)
        except DifferentError:
            raise
        except UnknownSizeError as error:
            flaw = Flaw(str(error))
        except Exception as error:  # of whatever kind: at these sizes nothing is shown
            flaw = Flaw(in_short(error))
        else:
            worst = off if worst is None else max(worst, off)
    return flaw if worst is None else worst


def _told(window: Window, old: Side, new: Side) -> str:
    """What else a certificate rests on."""
    return f"{_as_read(window)}{_behind(window, old, new)}"


def _behind(window: Window, old: Side, new: Side) -> str:
    """The operators for whose outputs the file's word was taken."""
    causes = {
        walk.behind[value]: None
        for walk in window.recorded.walks
        for value in (*old.inputs, *new.inputs)
        if value in walk.behind
    }
    return f", at the sizes that the file declares behind {', '.join(causes)}" if causes else ""


def _as_read(window: Window) -> str:
    readings = [
        f"'{value.name}' as 1/{1 / exact.flat[0]:.0f}" for value, exact in window.readings.items()
    ]
    return f", reading {', '.join(readings)}" if readings else ""
