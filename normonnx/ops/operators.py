"""The operators of the domain ``normonnx``, as data.

    FusedLayerNormalization(X, Scale, Bias?)                            → Y
    FusedAddLayerNormalization(X, Residual, Scale, Bias, XBias?)        → Y, Sum?
    FusedRMSNormalization(X, Scale)                                     → Y
    FusedAddRMSNormalization(X, Residual, Scale, XBias?)                → Y, Sum?

    Sum = X + Residual + XBias                           (or just X)
    Y   = (Sum − m) / √(v + epsilon) · Scale + Bias      LayerNorm: m = E[Sum], v = E[(Sum − m)²]
    Y   = Sum / √(E[Sum²] + epsilon) · Scale             RMSNorm

Which axes are normalised needs one attribute. ``axis`` is the first of them, and ``Scale`` spans
them all: its shape is ``X.shape[axis : axis + rank(Scale)]``. So a Scale of shape [C] with axis −1
is the usual norm over the last axis, [H, W] with axis −2 one over the last two, and [C] with axis 1
normalises the channels of N×C×H×W where they are, without transposes.

As a function an operator is for one type of X. A model that needs it for several has it under a
name for each further type: ``FusedLayerNormalization`` and ``FusedLayerNormalization_float16``. The
library has every operator under all of its names.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import force_setattr, replace

DOMAIN = "normonnx"
VERSION = 1

DEFAULT_AXIS = -1
DEFAULT_EPSILON = 1e-5

T = "T"  # float, float16, bfloat16 or double
S = "S"  # T, or float


class Slot(Struct, frozen=True):
    """One formal input or output.

    Attributes:
        name: as in the schema.
        type: "T", the type of X, or "S", the type of the parameters.
        optional: whether a node may leave it out; only trailing slots are optional.
        doc: what it holds, and its shape.
    """

    name: str
    type: str
    doc: str
    optional: bool = False


class Operator(Struct, frozen=True):
    """One operator: what it takes and gives.

    Attributes:
        name: the op_type.
        base: the name without the type.
        dtype: the type of X that it is for, as ONNX spells it; "" for any.
        rms: whether the mean stays (RMSNorm) or is taken off (LayerNorm).
        residual: whether X + Residual is what gets normalised.
        inputs: in order.
        outputs: in order.
        doc: one paragraph.
    """

    name: str
    rms: bool
    residual: bool
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    doc: str
    base: str = ""
    dtype: str = ""

    def __post_init__(self) -> None:
        if not self.base:
            force_setattr(self, "base", self.name)

    @property
    def scale(self) -> int:
        """The position of the input Scale."""
        return next(i for i, slot in enumerate(self.inputs) if slot.name == "Scale")

    def takes(self, slot: str) -> bool:
        """Whether the operator has an input of this name."""
        return any(one.name == slot for one in self.inputs)


_X = Slot("X", T, "What is normalised, of any shape.")
_RESIDUAL = Slot("Residual", T, "What is added to X; the shape of X.")
_SCALE = Slot(
    "Scale", S, "γ; its shape X.shape[axis : axis + rank(Scale)] says what is normalised."
)
_BIAS = Slot("Bias", S, "β; the shape of Scale.")
_X_BIAS = Slot(
    "XBias", T, "Added to X before all else; the shape of Scale, say a bias of what made X.", True
)
_Y = Slot("Y", T, "The normalised values; the shape of X.")
_SUM = Slot("Sum", T, "X + Residual + XBias, rounded once; the shape of X.", True)


def _optional(slot: Slot) -> Slot:
    return Slot(slot.name, slot.type, slot.doc, optional=True)


DTYPES = ("float", "float16", "bfloat16", "double")
"""The types of X."""

UNTYPED: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator(
            "FusedLayerNormalization",
            rms=False,
            residual=False,
            inputs=(_X, _SCALE, _optional(_BIAS)),
            outputs=(_Y,),
            doc="LayerNorm over consecutive axes anywhere in X.",
        ),
        Operator(
            "FusedAddLayerNormalization",
            rms=False,
            residual=True,
            inputs=(_X, _RESIDUAL, _SCALE, _BIAS, _X_BIAS),
            outputs=(_Y, _SUM),
            doc="LayerNorm of X + Residual + XBias, which it returns as well if asked.",
        ),
        Operator(
            "FusedRMSNormalization",
            rms=True,
            residual=False,
            inputs=(_X, _SCALE),
            outputs=(_Y,),
            doc="RMSNorm over consecutive axes anywhere in X.",
        ),
        Operator(
            "FusedAddRMSNormalization",
            rms=True,
            residual=True,
            inputs=(_X, _RESIDUAL, _SCALE, _X_BIAS),
            outputs=(_Y, _SUM),
            doc="RMSNorm of X + Residual + XBias, which it returns as well if asked.",
        ),
    )
}
"""The operators by the name that is for any type."""


def typed_name(name: str, dtype: str) -> str:
    """The name of an operator that is for one type of X."""
    return f"{name}_{dtype}"


OPERATORS: dict[str, Operator] = UNTYPED | {
    typed_name(one.name, dtype): replace(one, name=typed_name(one.name, dtype), dtype=dtype)
    for one in UNTYPED.values()
    for dtype in DTYPES
}
"""The operators by every name that a node can have."""
