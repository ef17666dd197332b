"""What may be asked of the judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normonnx.errors import UsageError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """How the optimised model is compared with the original.

    Attributes:
        providers: execution providers to compare on, of ``cpu`` and ``cuda``.
        seed: the one seed of all generated feeds.
        draws: how many feeds decide on rounding; costly models get fewer, which is noted.
        data: feeds of the user: an .npz file, an .npy file, or a folder in ONNX's test layout.
        rtol: with ``atol``, replaces the rounding rule by |y − o| ≤ atol + rtol·|o|.
        atol: see ``rtol``.
        sqnr_min: least ratio of signal to the optimised model's noise, in decibels.
        strict: demand the original's outputs bit by bit.
        strict_onnx: what onnx.checker says against the optimised model is a violation.
        budget_seconds: when to stop drawing; the verdict says what was left out.
    """

    providers: tuple[str, ...] = ("cpu",)
    seed: int = 0
    draws: int = 3
    data: Path | None = None
    rtol: float | None = None
    atol: float | None = None
    sqnr_min: float | None = None
    strict: bool = False
    strict_onnx: bool = False
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
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} must not be negative")
        if self.strict and self.tolerance is not None:
            raise UsageError("strict and rtol/atol exclude each other")

    @property
    def replaces_rule(self) -> bool:
        """Whether something else than the rounding rule decides."""
        return self.strict or self.tolerance is not None

    @property
    def tolerance(self) -> tuple[float, float] | None:
        """Relative and absolute tolerance, where the user set either."""
        if self.rtol is None and self.atol is None:
            return None
        return self.rtol or 0.0, self.atol or 0.0
