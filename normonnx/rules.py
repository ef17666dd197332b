"""The rules as pages: what each does, its equation, when it may, and what it does to the numbers.

The engines name a rule by its code in every rewrite and near miss; `explain`, the reports and the
documentation print from here.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Rule(Struct, frozen=True):
    """One rule.

    Attributes:
        code: stable, such as ``NX001``.
        name: short, in lower case with dashes.
        title: one sentence without a full stop.
        before: a picture of the nodes as they are found.
        after: a picture of what is written for them.
        equation: why both are the same, a line each.
        conditions: each has to hold; where one does not, the site is a near miss.
        exactness: "exact" when the result is the same real number and its weights are; "rounding"
            when the same real number is computed with other roundings on the way.
        why: what is gained.
        by_default: whether it is used without being asked for.
        by_content: whether what it finds depends on the numbers of the model, and not on its
            architecture alone.
    """

    code: str
    name: str
    title: str
    before: str
    after: str
    equation: tuple[str, ...]
    conditions: tuple[str, ...]
    exactness: Literal["exact", "rounding"]
    why: str
    by_default: bool = True
    by_content: bool = False


EXACTNESS = {
    "exact": "exact: the same numbers, bit for bit",
    "rounding": "rounding: the same real numbers; each new weight is computed in float64 and "
    "rounded once",
}
"""What a rule does to the numbers, in words."""

_CARRIED = (
    "no node but the site's own reads the values in between, and none of them is a graph output",
    "only operators that keep the map affine lie in between (Identity, Dropout, Cast to no less "
    "precision or from what a layer computed, Transpose, Reshape, Flatten, Squeeze, Unsqueeze, "
    "Concat, Add of two branches)",
    "all nodes belong to one graph: a value does not move into or out of a subgraph",
)
_DIGITS = (
    "no digits are lost that the model has: a shift that is larger than the spread of what it "
    "centres by more than a quarter of the type's bits (64 times in float32) stays where it is; so "
    "do maps that cancel, and so round, such as x + 49152 − 49152"
)
_CANCEL = "maps that cancel, and so round, stay: x + 49152 − 49152 is not x"
_ZEROS = (
    "nothing tells −0 from 0 (a division by it, a negative power, a cast to text) where a sum with "
    "0, which makes 0 of −0, would go"
)
_ROOM = (
    "in float16, no scale moves to where it makes the numbers under a sum or mean more than 256 "
    "times as large, all of them together"
)
_STORED = "each new weight is finite, and not denormal, in the type it is stored in"
_CONSTANT = "weight, bias and the parameters of the map are constants"

_PAGES = (
    Rule(
        code="NX001",
        name="fold-into-convolution",
        title="A per-channel affine map disappears into the convolution before it",
        before="x ─ Conv(W, B) ─ BatchNormalization(γ, β, μ, σ²) ─ y",
        after="x ─ Conv(W′, B′) ─ y",
        equation=(
            "a = γ·(σ² + ε)^(−1/2),   b = β − μ·a",
            "a[c]·Conv(x, W, B)[c] + b[c] = Conv(x, W′, B′)[c]",
            "W′[c] = a[c]·W[c],   B′[c] = a[c]·B[c] + b[c]",
        ),
        conditions=(
            _CONSTANT,
            "BatchNormalization is in inference form: running statistics, one output, per channel",
            "the map varies along the channel axis, or not at all",
            _CANCEL,
            _ZEROS,
            _ROOM,
            *_CARRIED,
            _STORED,
        ),
        exactness="rounding",
        why="BatchNormalization and constant arithmetic behind a Conv or ConvTranspose (any rank, "
        "grouped, any padding) read and write the whole activation once more for nothing.",
    ),
    Rule(
        code="NX002",
        name="fold-into-dense",
        title="A per-column affine map disappears into the Gemm or MatMul before it",
        before="x ─ MatMul(W) ─ Add(B) ─ BatchNormalization(γ, β, μ, σ²) ─ y",
        after="x ─ MatMul(W′) ─ Add(B′) ─ y",
        equation=(
            "a = γ·(σ² + ε)^(−1/2),   b = β − μ·a",
            "a·(x·W + B) + b = x·W′ + B′",
            "W′[:, c] = a[c]·W[:, c],   B′[c] = a[c]·B[c] + b[c]",
            "Gemm: C′ = a·β·C + b with β′ = 1; α stays",
        ),
        conditions=(
            _CONSTANT,
            "the map varies along the axis that the weight's free axis becomes, or not at all",
            _CANCEL,
            _ZEROS,
            _ROOM,
            *_CARRIED,
            _STORED,
        ),
        exactness="rounding",
        why="Dense networks and attention projections carry BatchNormalization as Mul and Add; "
        "each is a pass over the activations that the weights can take for free.",
    ),
    Rule(
        code="NX003",
        name="fold-forward",
        title="An affine map with nothing before it disappears into the layers that read it",
        before="x ─ BatchNormalization(γ, β, μ, σ²) ─ Conv(W, B) ─ y",
        after="x ─ Conv(W′, B′) ─ y",
        equation=(
            "Conv(a·x + b, W, B) = Conv(x, W′, B′)",
            "W′[o, i] = a[i]·W[o, i],   B′[o] = B[o] + Σᵢₖ W[o, i, k]·b[i]",
            "MatMul: (a·x + b)·W = x·W′ + b·W,   W′[i, :] = a[i]·W[i, :]",
        ),
        conditions=(
            _CONSTANT,
            "every reader can take it: Conv, Gemm, MatMul, or another affine map",
            _DIGITS,
            _ZEROS,
            _ROOM,
            "a Conv that pads with zeros takes b ≠ 0 only where height and width are fixed, by an "
            "Add with a bias for each place of at most 1 MiB; or, from opset 11 on, where −b/a is "
            "one number for all channels, by a Pad with that number",
            "the map varies along the axis that the layer sums over, or not at all",
            *_CARRIED[1:],
            _STORED,
        ),
        exactness="rounding",
        why="Input normalisation ((x − mean)/std) and pre-activation networks have no layer "
        "before the map; the layer behind it can take it as well.",
    ),
    Rule(
        code="NX004",
        name="merge-affine",
        title="Affine maps in a row become one, or go into a normalisation's scale and bias",
        before="x ─ Mul(k) ─ Add(d) ─ BatchNormalization(γ, β, μ, σ²) ─ y",
        after="x ─ Mul(a′) ─ Add(b′) ─ y",
        equation=(
            "a₂·(a₁·x + b₁) + b₂ = (a₂·a₁)·x + (a₂·b₁ + b₂)",
            "LayerNormalization: γ′ = a·γ,   β′ = a·β + b",
            "BatchNormalization of a weight, in training form too: the weight that it gives",
        ),
        conditions=(
            "all maps vary along the same axis, or not at all",
            "fewer nodes are left than there were",
            _DIGITS,
            _ZEROS,
            _ROOM,
            *_CARRIED,
            _STORED,
        ),
        exactness="rounding",
        why="Where no layer is near, one map is still cheaper than three.",
    ),
    Rule(
        code="NX005",
        name="merge-parallel-branches",
        title="Convolutions of one input that are added become one convolution",
        before=("x ─┬─ Conv(W₁, B₁) ─── Add ─ y\n   └─ Conv(W₂, B₂) ───┘"),
        after="x ─ Conv(W₁ + W₂, B₁ + B₂) ─ y",
        equation=(
            "Conv(x, W₁, B₁) + Conv(x, W₂, B₂) = Conv(x, W₁ + W₂, B₁ + B₂)",
            "Conv(x, W, B) + (a·x + b) = Conv(x, W + diag(a), B + b)",
            "The smaller kernel is laid into the larger one, each tap where it reads the same.",
        ),
        conditions=(
            _CONSTANT,
            "both branches read the same value, and nothing but the sum reads them",
            "groups, strides and dilations agree, and the pads fit the kernels' sizes",
            *_CARRIED[2:],
            _STORED,
        ),
        exactness="rounding",
        why="RepVGG and MobileOne train with parallel branches; one convolution computes the same.",
    ),
    Rule(
        code="NX006",
        name="fold-norm-scale",
        title="The scale and bias of a norm disappear into the layers that read it",
        before="x ─ LayerNormalization(γ, β) ─ MatMul(W) ─ y",
        after="x ─ LayerNormalization(1) ─ MatMul(W′) ─ Add(B′) ─ y",
        equation=("(γ·n + β)·W = n·W′ + B′,   W′[i, :] = γ[i]·W[i, :],   B′ = β·W",),
        conditions=(
            _CONSTANT,
            "every reader can take it: Conv, Gemm or MatMul",
            *_CARRIED[1:],
            _STORED,
        ),
        exactness="rounding",
        why="It saves no node, only a multiplication and an addition inside the norm, which some "
        "runtimes turn into speed.",
        by_default=False,
    ),
    Rule(
        code="NX101",
        name="fuse-layer-normalization",
        title="The nodes of a spelled-out LayerNorm become one LayerNormalization",
        before=(
            "x ─┬─────────── Sub ─┬─ Pow(2) ─ ReduceMean ─ Add(ε) ─ Sqrt ─┐\n"
            "   └─ ReduceMean ─┘  └──────────────────────────────────── Div ─ Mul(γ) ─ Add(β) ─ y"
        ),
        after="x ─ LayerNormalization(γ, β, axis, epsilon) ─ y",
        equation=(
            "m = E[x],   q = E[x²]   over the normalised axes",
            "y = γ·(x − m)·(q − m² + ε)^(−1/2) + β",
            "Spellings are brought to this form: two means or E[x²] − E[x]², Sqrt, Pow, Reciprocal",
            "or exp of log, sums over N, x·k + (β − m·k), unbiased variance (ε and γ rescaled).",
        ),
        conditions=(
            "the whole expression is the equation above, with ε ≥ 0 under the root",
            "mean and variance are taken over the same, trailing axes of the same x",
            "the length of the normalised axes is known where it enters the numbers",
            "scale and bias fit the operator; what does not fit stays a Mul or an Add",
            "types on the way are those the operator computes in",
            "clamps and choices around the statistics provably act on no number",
            "the default operator set is 17, or can be raised to it (--opset allows it)",
        ),
        exactness="rounding",
        why="Ten nodes read and write the activations ten times; the operator has a kernel that "
        "does it once, and computes the variance without cancellation.",
    ),
    Rule(
        code="NX102",
        name="fuse-rms-normalization",
        title="The nodes of a spelled-out RMSNorm become one RMSNormalization",
        before=(
            "x ─┬─ Pow(2) ─ ReduceMean ─ Add(ε) ─ Sqrt ─ Reciprocal ─┐\n"
            "   └────────────────────────────────────────────────── Mul ─ Mul(γ) ─ y"
        ),
        after="x ─ RMSNormalization(γ, axis, epsilon) ─ y",
        equation=(
            "q = E[x²]   over the normalised axes",
            "y = γ·x·(q + ε)^(−1/2)",
        ),
        conditions=(
            "the whole expression is the equation above, with ε ≥ 0 under the root",
            "the mean square is taken over trailing axes",
            "the length of the normalised axes is known where it enters the numbers",
            "the scale fits the operator; what does not fit stays a Mul",
            "types on the way are those the operator computes in",
            "the default operator set is 23, or can be raised to it (--opset allows it)",
        ),
        exactness="rounding",
        why="Six nodes read and write the activations six times; the operator does it once.",
    ),
    Rule(
        code="NX103",
        name="fuse-group-normalization",
        title="A GroupNorm, spelled out or made from InstanceNormalization, becomes one operator",
        before="x ─ Reshape(N, G, −1) ─ InstanceNormalization ─ Reshape ─ Mul(γ) ─ Add(β) ─ y",
        after="x ─ GroupNormalization(γ, β, num_groups=G, epsilon) ─ y",
        equation=(
            "m = E[x],   q = E[x²]   over the channels of a group and the axes behind",
            "y = γ[c]·(x − m)·(q − m² + ε)^(−1/2) + β[c]",
        ),
        conditions=(
            "the whole expression is the equation above, with ε ≥ 0 under the root",
            "the groups are consecutive channels, their number is known",
            "scale and bias are constants that vary along the channels, or not at all",
            "the default operator set is 21, or can be raised to it (--opset allows it)",
        ),
        exactness="rounding",
        why="Runtimes with a kernel of their own for it read the activations once. ONNX Runtime's "
        "CPU provider has none: it takes the operator apart and then needs 1.7 to 2.2 times as "
        "long as with InstanceNormalization between Reshapes, so the rule is off by default.",
        by_default=False,
    ),
    Rule(
        code="NX104",
        name="fuse-instance-normalization",
        title="An InstanceNorm in several nodes becomes one InstanceNormalization",
        before=(
            "x ─┬─────────── Sub ─┬─ Pow(2) ─ ReduceMean ─ Add(ε) ─ Sqrt ─┐\n"
            "   └─ ReduceMean ─┘  └──────────────────────────────────── Div ─ Mul(γ) ─ Add(β) ─ y"
        ),
        after="x ─ InstanceNormalization(γ, β, epsilon) ─ y",
        equation=(
            "m = E[x],   q = E[x²]   over all axes behind the channels'",
            "y = γ[c]·(x − m)·(q − m² + ε)^(−1/2) + β[c]",
        ),
        conditions=(
            "the whole expression is the equation above, with ε ≥ 0 under the root",
            "x has a batch axis, a channel axis, and the normalised axes after them",
            "scale and bias are constants that vary along the channels, or not at all",
            "all of it is computed in float32",
        ),
        exactness="rounding",
        why="One node reads and writes the activations once; the operator is in every opset.",
    ),
    Rule(
        code="NX201",
        name="work-out-constants",
        title="What depends on constants alone is stored as a constant",
        before="W ─ Transpose ─ Mul(k) ─┐\n                        x ─ MatMul ─ y",
        after="x ─ MatMul(W′) ─ y",
        equation=("W′ is the value of the nodes in float64, rounded once to their type",),
        conditions=(
            "nothing random is among the nodes, and nothing that a caller may override",
            "what is built from less than 4 KiB, and whole numbers, add at most 256 KiB, and what "
            "is worked out from larger weights at most 4 KiB; quantised weights stay",
            "all of them add at most 1 MiB, or 1 % of a larger model",
            "casts round and integers wrap as the standard says",
            _STORED,
        ),
        exactness="rounding",
        why="Exporters leave weights to transpose, scales to multiply and masks to build in the "
        "graph. Constant nodes become initializers.",
    ),
    Rule(
        code="NX202",
        name="write-known-sizes",
        title="What follows from the sizes of tensors is written as numbers",
        before=(
            "x ─┬─ Shape ─ Gather ─ Concat(…, 64) ─┐\n   └───────────────────────────── Reshape ─ y"
        ),
        after="x ─ Reshape(0, 64) ─ y",
        equation=(
            "Dimensions are followed through Shape, Gather, Slice, Concat and arithmetic.",
            "0 stands for the dimension that was there, −1 for the one that is left.",
        ),
        conditions=(
            "the sizes follow from the inputs' declared dimensions, for every size of open ones",
            "−1 stands for an open dimension only where no other dimension is open: with an empty "
            "tensor it would have no value",
        ),
        exactness="exact",
        why="A shape that is computed at every run costs nodes, and hides from runtimes that it is "
        "always the same.",
    ),
    Rule(
        code="NX203",
        name="drop-what-does-nothing",
        title="Nodes that give back what they read go",
        before="x ─ Identity ─ Cast(float) ─ Reshape(its own shape) ─ y",
        after="x ─ y",
        equation=("f(x) = x for every x of this type and these dimensions",),
        conditions=(
            "Identity, Dropout at inference, Cast to its own type, Transpose that keeps the order",
            "Reshape, Flatten, Squeeze, Unsqueeze, Expand, Resize and Split to the dimensions that "
            "were there, at every size",
            "Slice and Gather of everything in order, Pad of nothing, Tile of one",
            "Mul and Div by 1, Sub of 0, Add of −0 and of a whole 0, where the dimensions stay",
            "Concat, Sum, Max, Min and Mean of a single input; Relu of a Relu",
            "an input of the model that is also an output keeps its Identity",
        ),
        exactness="exact",
        why="Each is a node that runtimes schedule, and that keeps others from meeting.",
    ),
    Rule(
        code="NX204",
        name="say-once",
        title="Nodes that compute the same, and equal initializers, become one",
        before="x ─┬─ Transpose ─ a\n   └─ Transpose ─ b",
        after="x ─ Transpose ─ a, b",
        equation=("the same operator with the same attributes on the same inputs is the same",),
        conditions=(
            "the operator is deterministic, and so is all that is within it: an If, Loop or Scan "
            "has the same nodes in the same order, on the same values around it",
            "both are in one graph",
            "initializers agree in type, shape and bits, and no BatchNormalization that trains "
            "reads them: ONNX Runtime writes into its inputs",
        ),
        exactness="exact",
        why="Exporters write the same shape arithmetic once for each use.",
        by_content=True,
    ),
    Rule(
        code="NX205",
        name="shorten-chains",
        title="A chain of nodes that lay elements out anew becomes one node, or none",
        before="x ─ Transpose(0, 2, 1) ─ Transpose(0, 2, 1) ─ Squeeze ─ Unsqueeze ─ y",
        after="x ─ y",
        equation=(
            "Transposes are composed; Reshape, Flatten, Squeeze and Unsqueeze keep the order of "
            "elements, so the last shape counts",
        ),
        conditions=(
            "the shape of the last one can be written as constants, for every size of the inputs",
            "a Cast behind another is alone where the first loses nothing",
            "Slices of one chain cut different axes, or one whose length is known, or ends of it "
            "that add up at any length; Gathers along one axis have constant indices",
            "Concats join along the same axis; a Concat that undoes a Split has all its parts in "
            "order, and a Split that undoes a Concat cuts where that joined",
            "Pads fill with the same number; of two Expands the last shape is known",
            "a reduction keeps its axes, or not, as the Squeeze or Unsqueeze behind it asks",
        ),
        exactness="exact",
        why="Each of them may copy the whole tensor.",
    ),
    Rule(
        code="NX206",
        name="drop-what-nobody-reads",
        title="What no output depends on goes",
        before="x ─┬─ Conv ─ y\n   └─ Relu",
        after="x ─ Conv ─ y",
        equation=("an output does not change with what it does not read",),
        conditions=(
            "no output of the model, or of the graph it is in, depends on it",
            "inputs of the model stay, whether they are read or not",
            "of the outputs of a node those go that the standard makes optional, but not those of "
            "a BatchNormalization, whose number says whether it trains",
            "an opset import goes with the last node and function of its domain; ONNX's own stays",
        ),
        exactness="exact",
        why="What is left over costs load time and room, and an import that a runtime does not "
        "know is refused.",
    ),
    Rule(
        code="NX207",
        name="take-known-branch",
        title="An If whose condition is known gives way to the branch that is taken",
        before="true ─ If(then: Squeeze, else: Identity) ─ y",
        after="x ─ Squeeze ─ y",
        equation=("If(true, f, g) = f,   If(false, f, g) = g",),
        conditions=(
            "the condition is a constant, or follows from sizes that are known; or both branches "
            "are the same nodes on the same values",
            "the branch holds no graphs of its own, and nothing random",
        ),
        exactness="exact",
        why="Exporters ask for a size that is always the same, and hide half of the model in "
        "branches.",
    ),
    Rule(
        code="NX208",
        name="shorten-products",
        title="A product of matrices takes the Transposes around it, and a vector that is added",
        before="x ─ Transpose ─ MatMul(W, ·) ─ Transpose ─ y",
        after="x ─ MatMul(·, Wᵀ) ─ y",
        equation=(
            "(W·xᵀ)ᵀ = x·Wᵀ",
            "MatMul(x, W) + b = Gemm(x, W, b)",
            "Gemm(xᵀ, W) = Gemm(x, W, transA)",
        ),
        conditions=(
            "the Transposes swap the last two axes and no others",
            "nothing else reads what lies in between",
            "for Gemm, both factors are matrices, the vector is constant and as long as a row, and "
            "all are float32 or float64",
        ),
        exactness="rounding",
        why="ONNX Runtime writes MatMul and Add as Gemm itself; others do not. A Transpose copies "
        "the whole tensor.",
    ),
    Rule(
        code="NX209",
        name="move-transposes",
        title="Transposes move past the operators between them where some of them meet and vanish",
        before="x ─ Transpose(0, 2, 3, 1) ─ Add(b) ─ Relu ─ Transpose(0, 3, 1, 2) ─ y",
        after="x ─ Add(b′) ─ Relu ─ y",
        equation=(
            "f(xᵀ) = f(x)ᵀ, with the axes that f names, and its constants, laid out alike",
            "Of all nodes between Transposes those are laid out anew with which the fewest are "
            "left: a smallest cut",
        ),
        conditions=(
            "elementwise operators, with constants, scalars or operands of the same rank; Concat, "
            "Split, Slice, Pad, Gather of a vector or a number, Tile, Expand, CumSum; reductions; "
            "Squeeze and Unsqueeze; QuantizeLinear and DequantizeLinear",
            "Softmax only along an axis that is the last one before and behind; so do a MatMul and "
            "a norm keep the axes that they take together",
            "the model has fewer nodes after it",
        ),
        exactness="rounding",
        why="Models with the channels last have a Transpose on either side of each convolution, "
        "and each copies the whole tensor.",
    ),
)

RULES: dict[str, Rule] = {rule.code: rule for rule in _PAGES}


def rule_name(code: str) -> str:
    """The name of a rule, "" for a code that has no page."""
    return RULES[code].name if code in RULES else ""
