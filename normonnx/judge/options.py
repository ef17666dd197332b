"""What may be asked of the judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from normonnx.errors import UsageError
from normonnx.feeds.data import Data
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.providers import PROVIDERS

Bound: TypeAlias = "float | Mapping[str, float] | None"
"""A tolerance for all outputs, or by output; the name "" stands for those not named."""


class VerifyOptions(Struct, frozen=True, kw_only=True):
    """How the optimised model is compared with the original.

    Attributes:
        providers: execution providers to compare on, of ``cpu`` and ``cuda``.
        allow_cpu_fallback: compare on the CPU, and say so, where a provider is not there.
        seed: the one seed of all generated feeds.
        draws: how many feeds decide on rounding; costly models get fewer, which is noted.
        data: feeds of the user: an .npz file, an .npy file, a folder in ONNX's test layout, or a
            function without arguments that gives mappings from input names to arrays.
        rtol: with ``atol``, replaces the rounding rule by |y − o| ≤ atol + rtol·|o|; of all
            outputs, or by name.
        atol: see ``rtol``.
        sqnr_min: least ratio of signal to the optimised model's noise, in decibels.
        strict: demand the original's outputs bit by bit.
        strict_onnx: what onnx.checker says against the optimised model is a violation.
        freeze_initializers: initializers that a caller of the original could override, as they are
            inputs too, need not be inputs of the optimised model.
        isolated: run ONNX Runtime in processes of its own, so that its crash is a failure only.
        extensions: libraries of custom operators.
        budget_seconds: when to stop drawing; the verdict says what was left out.
    """

    providers: tuple[str, ...] = ("cpu",)
    allow_cpu_fallback: bool = False
    seed: int = 0
    draws: int = 3
    data: Data | None = None
    rtol: Bound = None
    atol: Bound = None
    sqnr_min: float | None = None
    strict: bool = False
    strict_onnx: bool = False
    freeze_initializers: bool = False
    isolated: bool = False
    extensions: Extensions = Extensions()
    budget_seconds: float = 60.0

    def __post_init__(self) -> None:
        unknown = [p for p in self.providers if p not in PROVIDERS]
        if unknown or not self.providers:
            raise UsageError(
                f"no such provider: {', '.join(unknown) or 'none given'}",
                hint=f"choose from {', '.join(PROVIDERS)}",
            )
        if self.draws < 1:
            raise UsageError("at least one feed must be drawn")
        if self.seed < 0:
            raise UsageError("the seed must not be negative")
        for name in ("rtol", "atol"):
            if not all(bound >= 0 for bound in _by_output(getattr(self, name)).values()):
                raise UsageError(f"{name} must not be negative")
        if self.strict and self.approximate:
            raise UsageError("strict and rtol/atol exclude each other")

    @property
    def approximate(self) -> bool:
        """Whether the user set a tolerance for any output."""
        return bool(_by_output(self.rtol) or _by_output(self.atol))

    @property
    def named_outputs(self) -> frozenset[str]:
        """The outputs that have a tolerance of their own."""
        return frozenset({*_by_output(self.rtol), *_by_output(self.atol)} - {""})

    def replaces_rule(self, output: str) -> bool:
        """Whether something else than the rounding rule decides on an output."""
        return self.strict or self.tolerance(output) is not None

    def tolerance(self, output: str) -> tuple[float, float] | None:
        """Relative and absolute tolerance of an output, where the user set either.

        An element of a sequence, ``name[0]``, is held to what its sequence is held to.
        """
        found = []
        for bound in (_by_output(self.rtol), _by_output(self.atol)):
            names = (output, output.rpartition("[")[0], "")
            found.append(next((bound[name] for name in names if name in bound), None))
        if found == [None, None]:
            return None
        return found[0] or 0.0, found[1] or 0.0


def _by_output(bound: Bound) -> Mapping[str, float]:
    if isinstance(bound, Mapping):
        return bound
    return {} if bound is None else {"": bound}
