"""What a benchmark found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field, to_builtins
from msgspec.structs import replace

from normonnx.benching.options import Setting
from normonnx.benching.statistics import Interval, Spread
from normonnx.errors import ExitCode
from normonnx.shown import Shown

SCHEMA = "normonnx.bench/1"


class Measured(Struct, frozen=True):
    """One model in one setting.

    Attributes:
        name: the file's name.
        seconds: of one run, median and quartiles.
        samples: of each round, in seconds.
        first_run: seconds of the first run in a fresh process, None if not measured.
        session: seconds to create the session in a fresh process, None if not measured.
        peak_bytes: memory that loading and running takes beyond the bare runtime's, at most; None
            if not measured.
    """

    name: str
    seconds: Spread
    samples: tuple[float, ...]
    first_run: float | None = None
    session: float | None = None
    peak_bytes: int | None = None

    @property
    def throughput(self) -> float:
        """Runs per second."""
        return 1 / self.seconds.median


class OperatorTime(Struct, frozen=True):
    """Where the time goes: one operator, in the first model and in the last.

    Attributes:
        operator: its name, as ONNX Runtime runs it.
        before: seconds per run in the original, and how many nodes.
        after: the same in the optimised model.
    """

    operator: str
    before: tuple[float, int]
    after: tuple[float, int]

    @property
    def change(self) -> float:
        """Seconds per run that were gained (below 0) or lost."""
        return self.after[0] - self.before[0]


class Comparison(Struct, frozen=True):
    """All models in one setting.

    Attributes:
        setting: how they ran.
        models: the original first.
        ratios: of each other model's time to the original's.
        profiles: for each other model, its operators against the original's; empty without one.
    """

    setting: Setting
    models: tuple[Measured, ...]
    ratios: tuple[Interval, ...]
    profiles: tuple[tuple[OperatorTime, ...], ...] = ()


class BenchReport(Shown, Struct, frozen=True):
    """A benchmark.

    Attributes:
        comparisons: one per setting.
        shapes: of the inputs, by name.
        versions: of what was measured with.
        machine: in words.
        notes: what a reader should know.
        command: how it was called, where it was.
    """

    comparisons: tuple[Comparison, ...]
    shapes: Mapping[str, tuple[int, ...]]
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    notes: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def named(self, *names: str) -> BenchReport:
        """The same with other names for the models."""
        comparisons = tuple(
            replace(
                comparison,
                models=tuple(
                    replace(model, name=name)
                    for model, name in zip(comparison.models, names, strict=True)
                ),
            )
            for comparison in self.comparisons
        )
        return replace(self, comparisons=comparisons)

    @property
    def exit_code(self) -> ExitCode:
        """A benchmark that ends has done what it should."""
        return ExitCode.OK

    def line(self) -> str:
        """One stable line on the first setting: ``normonnx: FASTER 0.73× [0.71, 0.75]``."""
        ratios = self.comparisons[0].ratios
        if not ratios:
            median = self.comparisons[0].models[0].seconds.median
            return f"normonnx: MEASURED {1e3 * median:.3g} ms"
        return f"normonnx: {ratios[-1].word.upper()} {ratios[-1]}"

    def told(self) -> str:
        """What another command's last line tells of it: ``time 0.73x, faster``."""
        ratios = self.comparisons[0].ratios
        return f"time {ratios[-1].estimate:.2f}x, {ratios[-1].word}" if ratios else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema": SCHEMA,
            "line": self.line(),
            "machine": self.machine,
            "versions": dict(self.versions),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "notes": list(self.notes),
            "command": list(self.command),
            "comparisons": list(map(to_builtins, self.comparisons)),
        }
