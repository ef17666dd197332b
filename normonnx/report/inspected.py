"""What an inspection finds: every normalisation of a model, and what would become of it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field, to_builtins
from msgspec.structs import replace

from normonnx.report.result import SCHEMA, ModelFacts, counted
from normonnx.shown import Shown

FUSED = "fused"
"""The verdict on a norm that is one operator already."""


class Port(Struct, frozen=True):
    """An input or output of a model.

    Attributes:
        name: of the value.
        dtype: of its elements, or "" where the model does not say.
        shape: sizes, names of open dimensions, None for one without a name; None if unknown.
    """

    name: str
    dtype: str = ""
    shape: tuple[int | str | None, ...] | None = None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name} {self.dtype}".rstrip()
        return f"{self.name} {self.dtype}[{', '.join(map(_size, self.shape))}]"


def _size(dimension: int | str | None) -> str:
    return "?" if dimension is None else str(dimension)


class Site(Struct, frozen=True):
    """One normalisation, or arithmetic like one, and what would become of it.

    Attributes:
        rule: code of the rule that fires or nearly does, "" where no rule looks at it.
        kind: what it is: BatchNorm, affine arithmetic, LayerNorm, RMSNorm, GroupNorm, InstanceNorm.
        name: of its node.
        rewritten: whether a rewrite would be made.
        outcome: the rewrite in one line, or why there is none.
        remedy: what the user could do, or "".
        verdict: such as ``folds into Conv 'conv1'``, ``fuses into LayerNormalization``, ``stays``,
            or ``fused`` for what is one operator already.
        path: the modules it came from, such as ``layers.0/norm``, or "".
        form: "operator", "spelled out" or "arithmetic".
        axes: the normalised axes, or the axis that an affine map varies along; None if unknown.
        channels: elements per statistic, or of the map; None if not static.
        epsilon: what is added under the root; None where there is no root.
        dtype: in which it is computed, or "".
    """

    rule: str
    kind: str
    name: str
    rewritten: bool
    outcome: str
    remedy: str = ""
    verdict: str = ""
    path: str = ""
    form: str = ""
    axes: tuple[int, ...] | None = None
    channels: int | None = None
    epsilon: float | None = None
    dtype: str = ""

    def at(self, **details: Any) -> Site:
        """The same site with more known about it."""
        return replace(self, **details)


class Inspection(Shown, Struct, frozen=True):
    """Every normalisation of a model, as it is and as it would be.

    Attributes:
        name: the file's name, or the graph's.
        facts: what the model is made of.
        sites: all of them, in the order of the model's nodes.
        notes: what would be done besides.
        inputs: of the model, without those that have an initializer.
        outputs: of the model.
        opsets: by domain, "" for the default one.
    """

    name: str
    facts: ModelFacts
    sites: tuple[Site, ...]
    notes: tuple[str, ...] = ()
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    opsets: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """One stable line, such as ``normonnx: 4 sites to rewrite, 2 left alone``."""
        fire = sum(site.rewritten for site in self.sites)
        done = sum(site.verdict == FUSED for site in self.sites)
        left = len(self.sites) - fire - done
        fused = f", {done:,} fused already" if done else ""
        return f"normonnx: {counted(fire, 'site')} to rewrite, {left:,} left alone{fused}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"schema": SCHEMA, **to_builtins(self)}


class Inspections(Struct, frozen=True):
    """Several inspections, as one report."""

    models: tuple[Inspection, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"schema": SCHEMA, "models": [model.to_dict() for model in self.models]}
