"""Passes in a row: each sees what the one before changed, whoever wrote it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from normonnx import pipeline
from normonnx.options import Options
from normonnx.pipeline import PASSES
from normonnx.raising import FuseNorms
from normonnx.steps import Finish, FoldAffine, Workspace
from tests.graphs import model, proto

CONV_BN = """(float[N, 3, 8, 8] x) => (float[N, 4, 6, 6] y) {
    c = Conv (x, w) y = Mul (c, a)
}"""


class Doubles(InPlacePass):
    """Somebody else's pass: the constant `a` becomes twice as large, under another name."""

    def call(self, model: ir.Model) -> PassResult:
        (node,) = (node for node in model.graph if node.op_type == "Mul")
        old = node.inputs[1]
        assert old is not None
        assert old.const_value is not None
        tensor = ir.tensor(2 * old.const_value.numpy(), name="twice")
        new = ir.Value(name="twice", const_value=tensor, type=ir.TensorType(tensor.dtype))
        new.shape = ir.Shape(tensor.shape)
        model.graph.register_initializer(new)
        node.replace_input_with(1, new)
        model.graph.initializers.pop("a")
        return PassResult(model, modified=True)


def small() -> ir.Model:
    return model(CONV_BN, w=(4, 3, 3, 3), a=np.full((4, 1, 1), 3, np.float32))


def test_a_pass_sees_what_another_one_changed() -> None:
    work = Workspace(small(), Options())
    before = work.context
    weight = before.constants.array(work.model.graph.initializers["w"])
    assert weight is not None
    assert work.run([Doubles(), FoldAffine(work), Finish(work)])
    assert work.context is not before
    assert [node.op_type for node in work.model.graph] == ["Conv"]
    (conv,) = work.model.graph
    folded = conv.inputs[1]
    assert folded is not None
    assert folded.const_value is not None
    np.testing.assert_allclose(folded.const_value.numpy(), 6 * weight, rtol=1e-6)


def test_what_is_known_is_kept_between_passes_that_keep_it() -> None:
    work = Workspace(small(), Options())
    before = work.context
    assert work.run([FuseNorms(work), FoldAffine(work), Finish(work)])
    assert work.context is before


def test_exact_values_survive_another_pass() -> None:
    """A weight that is folded into twice is rounded once, whatever ran in between."""
    work = Workspace(small(), Options())
    work.run([FoldAffine(work)])
    held = dict(work.exact)
    assert held
    work.forget()
    assert dict(work.context.constants.exact) == held


def test_nothing_to_do_is_no_change() -> None:
    text = "(float[N] x) => (float[N] y) { y = Relu (x) }"
    work = Workspace(model(text), Options())
    assert not work.run(make(work) for make in PASSES)


def test_a_size_that_is_not_so_is_not_said_of_what_is_rewritten() -> None:
    """ONNX Runtime lets values share memory by what a file says of their sizes."""
    p = proto(
        """(float[n,3,5,5] x) => (float[n,4,3,3] y) {
          c = Conv (x, w) z = Mul (c, k) r = Relu (z) y = Neg (r)
        }""",
        w=(4, 3, 3, 3), k=(4, 1, 1),
    )  # fmt: skip
    for name, dims in (("z", [1, 4, 3, 3]), ("r", ["n", 4, 3, 3])):
        p.graph.value_info.append(onnx.helper.make_tensor_value_info(name, 1, dims))
    done = pipeline.run(ir.from_proto(p), Options())
    said = {str(v.name): v.shape for node in done.model.graph for v in node.outputs}
    assert len(done.journal.rewrites) == 1
    assert said["z"] is None
    assert said["r"] is not None
    assert said["y"] is not None


def test_a_model_that_gets_its_first_initializer_gets_the_ir_version_that_has_them() -> None:
    text = """<ir_version: 3, opset_import: ["": 8]>
    g (float[1, 4] x) => (float[1, 4] y) {
        k = Constant <value = float[1, 4] {1, 2, 3, 4}> ()
        z = Identity (x)
        a = Sqrt (z)
        y = Mul (a, k)
    }"""
    old = ir.from_proto(onnx.parser.parse_model(text))
    new = ir.to_proto(pipeline.run(old, Options()).model)
    onnx.checker.check_model(new, full_check=True)
    assert [node.op_type for node in new.graph.node] == ["Sqrt", "Mul"]
    assert new.ir_version == 4
