"""What is measured: on which provider, at which level of optimisation, on how many threads."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from normonnx.errors import UsageError
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.providers import PROVIDERS

LEVELS = ("off", "basic", "extended", "all")
"""ONNX Runtime's levels of graph optimisation, as its users name them."""


class Setting(Struct, frozen=True):
    """One way to run all models.

    Attributes:
        provider: "cpu" or "cuda".
        level: of the runtime's own optimisations, of `LEVELS`.
        threads: within an operator; 0 leaves it to the runtime.
    """

    provider: str = "cpu"
    level: str = "all"
    threads: int = 0

    @property
    def label(self) -> str:
        """Such as ``cpu · level all · 2 threads``."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return " · ".join(
            [self.provider, f"level {self.level}", threads if self.threads else "default threads"]
        )


class Registered(Struct, frozen=True):
    """The libraries of custom operators that a model runs with.

    Attributes:
        extensions: which there are.
        kernels: whether the library of the domain normonnx is registered too.
    """

    extensions: Extensions = Extensions()
    kernels: bool = False


class BenchOptions(Struct, frozen=True, kw_only=True):
    """How to measure.

    Attributes:
        providers: execution providers, of "cpu" and "cuda".
        levels: of the runtime's optimisations, of `LEVELS`.
        threads: counts of threads; 0 leaves it to the runtime.
        seconds: how long to measure in each setting.
        warm_up: runs of each model that do not count.
        sizes: sizes of open dimensions, by name; the others are chosen.
        data: feeds of the user, as `verify` takes them; the first one is used.
        seed: of the generated feed and of the bootstrap.
        extensions: libraries of custom operators.
        profile: whether to ask the runtime where the time goes.
        processes: whether to measure memory and start-up in processes of their own.
    """

    providers: tuple[str, ...] = ("cpu",)
    levels: tuple[str, ...] = ("all",)
    threads: tuple[int, ...] = (0,)
    seconds: float = 3.0
    warm_up: int = 3
    sizes: Mapping[str, int] = field(default_factory=dict)
    data: Path | None = None
    seed: int = 0
    extensions: Extensions = Extensions()
    profile: bool = False
    processes: bool = True

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: something does not.
        """
        for what, given, known in (
            ("provider", self.providers, tuple(PROVIDERS)),
            ("level", self.levels, LEVELS),
        ):
            unknown = [value for value in given if value not in known]
            if unknown or not given:
                raise UsageError(
                    f"no such {what}: {', '.join(unknown) or 'none given'}",
                    hint=f"choose from {', '.join(known)}",
                )
        if not self.threads or min(self.threads) < 0:
            raise UsageError("the number of threads must not be negative")
        if not self.seconds > 0 or self.warm_up < 1:
            raise UsageError("there must be time to measure, and a run to warm up")
        if any(size < 1 for size in self.sizes.values()):
            raise UsageError("a dimension has a size of at least 1")

    def settings(self) -> tuple[Setting, ...]:
        """Every combination of provider, level and threads."""
        choices = itertools.product(self.providers, self.levels, self.threads)
        return tuple(Setting(*choice) for choice in choices)
