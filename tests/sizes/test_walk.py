"""A walk finds the shapes that a run of the model has, and refuses sizes that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

from normonnx.api import optimize
from normonnx.graph.interface import required_inputs
from normonnx.sizes.dimensions import open_shapes
from normonnx.sizes.recorded import Recorded
from normonnx.sizes.tensor import ContradictionError, Tensor
from normonnx.sizes.walk import Walk
from tests.graphs import model, proto, value
from tests.networks import draw


def walked(of: ir.Model, **binding: int) -> Walk:
    return Walk(of, open_shapes(required_inputs(of)), binding)


def shape(of: ir.Model, name: str, **binding: int) -> tuple[int, ...] | None:
    tensor = walked(of, **binding).tensor(value(of, name))
    return None if tensor is None else tensor.shape


def shapes_of_a_run(given: onnx.ModelProto, feeds: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every value of the main graph, by ONNX Runtime; none if it has no kernel."""
    told = onnx.shape_inference.infer_shapes(given).graph
    types = {i.name: i.type.tensor_type.elem_type for i in (*told.value_info, *told.output)}
    names = [name for node in given.graph.node for name in node.output if types.get(name)]
    open_model = onnx.ModelProto()
    open_model.CopyFrom(given)
    del open_model.graph.output[:]
    open_model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, types[name], None) for name in names
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            open_model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except NotImplemented:
        return {}
    arrays = session.run(names, feeds)
    return {name: array.shape for name, array in zip(names, arrays, strict=True)}


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_the_shapes_are_those_of_a_run(start: int) -> None:
    compared = 0
    for seed in range(start, start + 20):
        network = draw(seed)
        of = ir.from_proto(network.model)
        binding = {
            str(dim.value): size
            for graph_input in of.graph.inputs
            for dim, size in zip(
                graph_input.shape or (), network.feeds[str(graph_input.name)].shape, strict=True
            )
            if isinstance(dim, ir.SymbolicDim)
        }
        walk = walked(of, **binding)
        for name, found in shapes_of_a_run(network.model, dict(network.feeds)).items():
            tensor = walk.tensor(value(of, name))
            assert tensor is not None, (seed, name)
            assert tensor.shape == found, (seed, name)
            compared += 1
    assert compared > 100


def test_a_size_that_follows_from_a_shape_is_worked_out() -> None:
    m = model(
        """(float[n,c,h,w] x) => (float[] y) {
          s = Shape (x) b = Gather (s, zero) u = Unsqueeze (b, axes) t = Concat <axis=0> (u, minus)
          y = Reshape (x, t)
        }""",
        zero=np.array(0), axes=np.array([0]), minus=np.array([-1]),
    )  # fmt: skip
    assert shape(m, "y", n=3, c=4, h=5, w=6) == (3, 120)


def test_what_depends_on_data_is_run_on_stand_ins() -> None:
    m = model("(float[4,4] x) => (int64[] y) { p = Relu (x) y = NonZero (p) }")
    found = shape(m, "y")
    assert found is not None
    assert found[0] == 2
    assert 0 < found[1] <= 16


BRANCH = """(float[n,4] x, bool c) => (float[] y) {
  y = If (c) <
    then_branch = g () => (float[] a) { a = Relu (x) },
    else_branch = h () => (float[] b) { d = Neg (x) b = Abs (d) }
  >
}"""


def test_both_branches_are_walked() -> None:
    m = model(BRANCH)
    walk = walked(m, n=3)
    inside = [out for node in m.graph.all_nodes() for out in node.outputs]
    assert [walk.tensor(out) for out in inside] == [Tensor((3, 4), ir.DataType.FLOAT)] * 4


def test_the_body_of_a_loop_is_walked_and_its_turns_counted() -> None:
    m = model(
        """(float[n,4] x) => (float[] last, float[] all) {
          last, all = Loop (turns, go, x) <
            body = b (int64 i, bool g, float[n,4] s) => (bool o, float[] t, float[] k) {
              o = Identity (g) t = Relu (s) k = Neg (s)
            }
          >
        }""",
        turns=np.array(5), go=np.array(True),
    )  # fmt: skip
    assert shape(m, "last", n=3) == (3, 4)
    assert shape(m, "all", n=3) == (5, 3, 4)


GROWING = """(float[2,4] x{given}) => (float[] y) {{
  last = Loop (turns, {go}, x) <
    body = b (int64 i, bool g, float[m,4] s) => (bool o, float[] t) {{
      {o} t = Concat <axis=0> (s, x)
    }}
  >
  y = Neg (last)
}}"""
SAME_CONDITION = "h = Identity (g) o = Identity (h)"


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 11, 40])
@pytest.mark.parametrize(
    ("go", "o"),
    [
        ("go", SAME_CONDITION),
        ("", SAME_CONDITION),
        ("go", "o = Identity (go)"),
        ("go", "k = Constant <value = bool {1}> () o = Identity (k)"),
    ],
)
def test_a_state_that_grows_in_each_of_a_known_number_of_turns(turns: int, go: str, o: str) -> None:
    given = proto(
        GROWING.format(given="", go=go, o=o), turns=np.array(turns), go=np.array(True)
    )  # fmt: skip
    run = shapes_of_a_run(given, {"x": np.zeros((2, 4), np.float32)})
    assert run["y"] == (2 * turns + 2, 4)
    assert shape(ir.from_proto(given), "y") == (run["y"] if turns < 40 else None)


@pytest.mark.parametrize(
    ("given", "go", "o", "held"),
    [
        (", bool asked", "asked", SAME_CONDITION, True),
        ("", "go", "n = Size (s) o = Less (n, many)", True),
        ("", "go", "o = Identity (go)", False),
        (", bool go", "go", SAME_CONDITION, True),
    ],
    ids=["asked for", "as long as it is small", "never", "that may be given"],
)
def test_the_size_of_a_state_is_open_where_a_loop_may_end(
    given: str, go: str, o: str, held: bool
) -> None:
    text = GROWING.format(given=given, go=go, o=o)
    m = model(text, turns=np.array(5), go=np.array(held), many=np.array(20))
    assert shape(m, "y") is None


def test_a_state_that_has_another_size_from_the_first_turn_on() -> None:
    m = model(
        GROWING.format(given="", go="go", o=SAME_CONDITION).replace("(s, x)", "(x, x)"),
        turns=np.array(1000), go=np.array(True),
    )  # fmt: skip
    assert shape(m, "y") == (4, 4)


def test_what_lies_behind_a_state_that_grows_is_folded() -> None:
    text = GROWING.format(given="", go="go", o=SAME_CONDITION)
    text = text.replace("y = Neg (last)", "a = MatMul (last, w) y = Mul (a, k)")
    given = proto(text, turns=np.array(3), go=np.array(True), w=(4, 5), k=(5,))
    result = optimize(given)
    assert [node.op_type for node in result.model.graph] == ["Loop", "MatMul"]
    assert result.report.status == "pass"


def test_a_scan_runs_over_an_axis() -> None:
    m = model(
        """(float[4] s, float[7,4] x) => (float[] t, float[] all) {
          t, all = Scan <num_scan_inputs: int = 1, body: graph = b (float[4] a, float[4] e)
            => (float[] c, float[] k) { c = Add (a, e) k = Neg (c) }> (s, x)
        }"""
    )
    assert shape(m, "t") == (4,)
    assert shape(m, "all") == (7, 4)


def test_a_function_is_entered_with_the_attributes_of_its_call() -> None:
    m = model(
        "(float[n,4,6] x) => (float[] y) { y = local.turned <p=[2,0,1]> (x) }",
        functions='<opset_import: ["" : 17], domain: "local"> turned <p> (x) => (y) '
        "{ y = Transpose <perm: ints = @p> (x) }",
    )
    assert shape(m, "y", n=3) == (6, 3, 4)


def foreign(text: str, *, declared: str = "") -> ir.Model:
    """A model whose Neg is an operator that ONNX Runtime adds, or one of nobody's."""
    operator, domain = ("Strange", "nobody") if declared else ("Gelu", "com.microsoft")
    given = proto(text)
    for node in given.graph.node:
        if node.op_type == "Neg":
            node.op_type, node.domain = operator, domain
    given.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    if declared:
        dims = [int(d) if d.isdigit() else d for d in declared.split(",")]
        given.graph.value_info.append(onnx.helper.make_tensor_value_info("g", 1, dims))
    return ir.from_proto(given)


TEXT = "(float[n,4] x) => (float[] y) { g = Neg (x) y = Relu (g) }"


def test_an_operator_of_the_runtime_is_run_alone() -> None:
    m = foreign(TEXT)
    walk = walked(m, n=3)
    assert walk.tensor(value(m, "y")) == Tensor((3, 4), ir.DataType.FLOAT)
    assert not walk.behind


@pytest.mark.parametrize(("declared", "found"), [("n,4", (3, 4)), ("m,4", None), ("2,4", (2, 4))])
def test_behind_an_operator_of_nobody_the_file_is_believed_and_told(
    declared: str, found: tuple[int, ...] | None
) -> None:
    m = foreign(TEXT, declared=declared)
    walk = walked(m, n=3)
    tensor = walk.tensor(value(m, "y"))
    assert (None if tensor is None else tensor.shape) == found
    assert ("Strange" in str(walk.behind.get(value(m, "y")))) == (found is not None)


def test_what_an_intermediate_is_declared_as_is_not_believed() -> None:
    given = proto(TEXT)
    given.graph.value_info.append(onnx.helper.make_tensor_value_info("g", 1, [1, 1]))
    m = ir.from_proto(given)
    assert shape(m, "g", n=3) == (3, 4)


@pytest.mark.parametrize(
    ("text", "found", "wanted"),
    [
        ("y = Conv (x, k)", 5, 3),
        ("y = Mul (x, s)", 5, 3),
        ("y = BatchNormalization (x, c, c, c, c)", 5, 3),
        ("t = Transpose <perm=[0,2,3,1]> (x) y = MatMul (t, m)", 5, 3),
        ("y = Reshape (x, r)", 2 * 5 * 8 * 8, 2 * 3 * 8 * 8),
    ],
)
def test_sizes_that_do_not_fit_are_refused(text: str, found: int, wanted: int) -> None:
    m = model(
        f"(float[2,c,8,8] x) => (float[] y) {{ {text} }}",
        k=(4, 3, 3, 3), s=(1, 3, 1, 1), c=(3,), m=(3, 4), r=np.array([2, 3, 8, 8]),
    )  # fmt: skip
    with pytest.raises(ContradictionError) as raised:
        walked(m, c=5)
    assert (raised.value.found, raised.value.wanted) == (found, wanted)
    assert walked(m, c=3).tensor(value(m, "y")) is not None


def test_sizes_that_leave_nothing_are_refused() -> None:
    m = model("(float[1,1,t] x) => (float[] y) { y = Conv <strides=[4]> (x, k) }", k=(1, 1, 8))
    with pytest.raises(ContradictionError):
        walked(m, t=7)


def test_sizes_that_a_weight_fixes_are_found() -> None:
    m = model(
        """(float[n,c,h,w] x) => (float[] y, float[] z) {
          y = Conv (x, k)
          p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (x) f = Flatten (p) z = Gemm (f, g)
        }""",
        k=(4, 3, 3, 3), g=(3 * 5 * 6, 4),
    )  # fmt: skip
    for walk in Recorded(m).walks:
        assert walk.tensor(value(m, "z")) is not None
        assert walk.binding["c"] == 3
        assert (walk.binding["h"] // 2) * (walk.binding["w"] // 2) == 30


def test_open_sizes_are_walked_twice() -> None:
    m = model("(float[n,t,4] x) => (float[] y) { y = Relu (x) }")
    one, two = Recorded(m).walks
    assert one.binding["n"] != one.binding["t"]
    assert one.binding.keys() == two.binding.keys()
    assert all(one.binding[name] != two.binding[name] for name in one.binding)
    assert len(Recorded(model("(float[2,4] x) => (float[] y) { y = Relu (x) }")).walks) == 1


def test_a_dimension_of_minus_one_is_open() -> None:
    given = proto("(float[2,4] x) => (float[] y) { y = Relu (x) }")
    given.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    m = ir.from_proto(given)
    sizes = {walk.tensor(value(m, "y")).shape for walk in Recorded(m).walks}  # type: ignore[union-attr]
    assert len(sizes) == 2
    assert all(size[0] > 0 and size[1] == 4 for size in sizes)


def test_what_a_call_binds_is_what_a_constant_in_its_function_holds() -> None:
    m = model(
        "(float[n,4] x) => (float[] y, float[] z) "
        "{ y = local.shifted <e=0.5, s=[2,3]> (x) z = local.shifted <e=1.5, s=[7]> (y) }",
        functions='<opset_import: ["" : 17], domain: "local"> shifted <e, s> (x) => (y) '
        "{ c = Constant <value_float: float = @e> () y = Add (x, c) "
        "k = Constant <value_ints: ints = @s> () }",
    )
    assert shape(m, "y", n=3) == (3, 4)
    assert shape(m, "z", n=3) == (3, 4)


@pytest.mark.parametrize("opset", [13, 17])
def test_our_own_operators_are_walked_with_and_without_functions(opset: int) -> None:
    of = proto(
        """(float[n,5,8] x) => (float[] y) {
            m = ReduceMean <axes=[-1]> (x) d = Sub (x, m) q = Mul (d, d)
            v = ReduceMean <axes=[-1]> (q) w = Add (v, e) s = Sqrt (w) n = Div (d, s) y = Relu (n)
        }""",
        opset=opset, e=np.float32(1e-5),
    )  # fmt: skip
    made = optimize(of, target="normonnx", verify=False).model
    assert shape(made, "y", n=3) == (3, 5, 8)
    made.functions.clear()
    assert shape(made, "y", n=3) == (3, 5, 8)
