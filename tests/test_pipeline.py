from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.options import Options
from normonnx.pipeline import run
from tests.graphs import model, operators, proto

MODELS = sorted((Path(__file__).parent.parent / "models").glob("*.onnx"))
BN = {"s": (4,), "o": (4,), "m": (4,), "v": np.float32([0.5, 1, 2, 3])}
FOLDS = """(float[2,3,8,8] x) => (float[2,4,6,6] y) {
  c = Conv (x, w)
  y = BatchNormalization (c, s, o, m, v)
}"""


def serialized(of: ir.Model) -> bytes:
    return ir.to_proto(of).SerializeToString(deterministic=True)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_second_run_finds_nothing_left(path: Path) -> None:
    original = ir.load(path)
    before = serialized(original)
    once = run(original, Options())
    assert once.journal.rewrites
    assert serialized(original) == before
    twice = run(once.model, Options())
    assert not twice.journal.rewrites
    assert serialized(twice.model) == serialized(once.model)


def test_the_result_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import sys, hashlib, onnx_ir as ir\nfrom normonnx.options import Options\n"
        "from normonnx.pipeline import run\n"
        "o = run(ir.load(sys.argv[1]), Options())\n"
        "b = ir.to_proto(o.model).SerializeToString(deterministic=True)\n"
        "print(hashlib.sha256(b).hexdigest(), [r.key for r in o.journal.rewrites])"
    )
    path = next(path for path in MODELS if "conformer" in path.stem)
    seen = {
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(seen) == 1


def test_limit_and_skip_give_prefixes_and_gaps() -> None:
    source = ir.load(next(path for path in MODELS if "conv1d" in path.stem))
    keys = [rewrite.key for rewrite in run(source, Options()).journal.rewrites]
    assert len(keys) > 3
    prefix = run(source, Options(), limit=2).journal
    assert [rewrite.key for rewrite in prefix.rewrites] == keys[:2]
    gap = run(source, Options(), skip=frozenset({keys[1]})).journal
    assert keys[1] not in [rewrite.key for rewrite in gap.rewrites]
    assert gap.near_misses[keys[1]].reason.startswith("taken back")


def test_initializers_listed_by_force_are_unlisted() -> None:
    p = proto(FOLDS, opset=8, w=(4, 3, 3, 3), **BN)
    for initializer in p.graph.initializer:
        p.graph.input.append(
            onnx.helper.make_tensor_value_info(
                initializer.name, initializer.data_type, initializer.dims
            )
        )
    p.ir_version = 3
    outcome = run(ir.from_proto(p), Options())
    assert operators(outcome.model) == "Conv"
    assert [str(value.name) for value in outcome.model.graph.inputs] == ["x"]
    assert "5 initializers" in outcome.notes[0]
    onnx.checker.check_model(ir.to_proto(outcome.model), full_check=True)

    p.ir_version = 8
    kept = run(ir.from_proto(p), Options())
    assert operators(kept.model) == "Conv BatchNormalization"
    assert len(kept.model.graph.inputs) == 6
    assert not kept.notes
    frozen = run(ir.from_proto(p), Options(freeze_initializers=True))
    assert operators(frozen.model) == "Conv"
    assert len(frozen.model.graph.inputs) == 1


def test_a_rule_can_be_switched_off() -> None:
    m = model(FOLDS, w=(4, 3, 3, 3), **BN)
    outcome = run(m, Options(rules_off=frozenset({"NX001"})))
    assert operators(outcome.model) == "Conv BatchNormalization"
    assert "switched off" in next(iter(outcome.journal.near_misses.values())).reason


def test_a_cap_is_kept_and_used() -> None:
    m = model(
        """(float[n,6] x) => (float[] y) {
          m = ReduceMean <axes=[-1]> (x)
          c = Sub (x, m)
          s = Mul (c, c)
          v = ReduceMean <axes=[-1]> (s)
          e = Add (v, eps)
          r = Sqrt (e)
          l = Div (c, r)
          t = Relu (l)
          q = Mul (t, t)
          p = ReduceMean <axes=[-1]> (q)
          f = Add (p, eps)
          g = Sqrt (f)
          y = Div (t, g)
        }""",
        opset=13,
        eps=np.float32(1e-5),
    )
    m.graph.outputs[0].shape = None
    free = run(m, Options())
    assert free.model.opset_imports[""] == 23
    assert operators(free.model) == "LayerNormalization Relu RMSNormalization"
    capped = run(m, Options(opset=17))
    assert capped.model.opset_imports[""] == 17
    assert operators(capped.model) == "LayerNormalization Relu FusedRMSNormalization"
    low = run(m, Options(opset=16))
    assert low.model.opset_imports[""] == 13
    assert operators(low.model) == "FusedLayerNormalization Relu FusedRMSNormalization"
    assert {name for _, name, _ in low.model.functions} == {
        "FusedLayerNormalization",
        "FusedRMSNormalization",
    }


def test_exact_weights_are_those_of_the_result_in_every_graph() -> None:
    m = model(
        """(bool c, float[2,3,8,8] x) => (float[] y) {
           y = If (c) <then_branch = t () => (float[] p) {
                 a = Conv (x, w)
                 p = BatchNormalization (a, s, o, m, v) },
               else_branch = e () => (float[] q) { q = Conv (x, w) }>
        }""",
        w=(4, 3, 3, 3),
        **BN,
    )
    outcome = run(m, Options(allow_duplicate=True))  # the other branch reads the weight too
    assert len(outcome.journal.rewrites) == 1
    body = outcome.model.graph[0].attributes["then_branch"].as_graph()
    assert operators(ir.Model(body, ir_version=8)) == "Conv"
    assert set(outcome.exact) == set(body.initializers)
    for name, value in body.initializers.items():
        assert value.const_value is not None
        stored = value.const_value.numpy()
        np.testing.assert_array_equal(stored, outcome.exact[name].astype(np.float32))


def test_a_weight_folded_into_twice_is_rounded_once() -> None:
    # Conv → BN → Relu-free branch merge: the second fold starts from the exact float64 weight.
    m = model(
        """(float[2,4,8,8] x) => (float[] y) {
          a = Conv <pads=[1,1,1,1]> (x, w)
          b = BatchNormalization (a, s, o, m, v)
          d = Conv (x, u)
          y = Add (b, d)
        }""",
        w=(4, 4, 3, 3),
        u=(4, 4, 1, 1),
        **BN,
    )
    outcome = run(m, Options())
    assert operators(outcome.model) == "Conv"
    constants = m.graph.initializers

    def wide(name: str) -> np.ndarray:
        tensor = constants[name].const_value
        assert tensor is not None
        return tensor.numpy().astype(np.float64)

    scale = wide("s") / np.sqrt(wide("v") + np.float64(np.float32(1e-5)))
    exact = wide("w") * scale[:, None, None, None]
    exact[:, :, 1, 1] += wide("u")[:, :, 0, 0]
    stored = next(
        value.const_value.numpy()
        for value in outcome.model.graph.initializers.values()
        if value.const_value is not None and len(value.const_value.shape) == 4
    )
    np.testing.assert_array_equal(stored, exact.astype(np.float32))


def test_a_cap_below_the_models_opset_keeps_it_there(models_dir: Path) -> None:
    model = ir.load(models_dir / "transformer_prenorm.onnx")
    outcome = run(model, Options(opset=3))
    assert outcome.model.opset_imports[""] == 14
    assert "opset stays 14: a model is never brought down to 3" in outcome.notes
    operators = {node.op_type for node in outcome.model.graph}
    assert "FusedLayerNormalization" in operators


def test_a_constant_of_a_thousand_readers_goes_with_the_last_of_them() -> None:
    lines = [f"  a{i} = Mul (a{i - 1}, one)\n" for i in range(1, 1102)]
    text = "(float[2,3] a0) => (float[2,3] a1101) {\n" + "".join(lines) + "}"
    before = proto(text, one=np.float32(1))
    outcome = run(ir.from_proto(before), Options())
    assert outcome.journal.rewrites
    assert "one" not in outcome.model.graph.initializers
    assert len(list(outcome.model.graph)) <= 1


CONTRADICTORY = {
    "a CastLike of one input, before there is one": (
        "(float[n] x) => (float[n] y) { y = CastLike (x) }", 13, {},
    ),
    "a normalisation of nothing, before there is one": (
        "(float[n] x) => (float[n] y) { y = LayerNormalization () }", 13, {},
    ),
    "a complex power": (
        "(complex64[n] x) => (complex64[n] y) { y = Pow (x, k) }", 17, {"k": np.complex64(0.5)},
    ),
    "an axis that is put in twice": (
        """(float[n,8] x) => (float[n,1,8] y) {
          m = ReduceMean <axes=[-1]> (x) d = Sub (x, m) q = Mul (d, d)
          v = ReduceMean <axes=[-1]> (q) r = Sqrt (v) u = Unsqueeze (r, a) y = Div (d, u)
        }""", 17, {"a": np.array([1, 1])},
    ),
    "a kernel of one dimension, on a value of unknown rank": (
        """(float[] x) => (float[] y, float[] z) {
          z = Conv (x, w) m = MatMul (x, a) y = Mul (m, k)
        }""", 17, {"w": (4,), "a": (4, 4), "k": np.float32(3)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTRADICTORY)
def test_a_model_that_contradicts_itself_ends_in_no_error(what: str) -> None:
    text, opset, weights = CONTRADICTORY[what]
    run(model(text, opset=opset, **weights), Options())


def test_what_a_fold_uncovers_is_fused_in_the_same_run() -> None:
    """Mul and Neg become one Mul, and only then is that one scale in front of a norm."""
    scale = np.linspace(0.5, 2, 6, dtype=np.float32)
    m = model(
        "(float[n,6,8,8] x) => (float[n,5,8,8] y) { a = Sigmoid (x)\n b = Mul (a, k)\n"
        "c = Neg (b)\n d = InstanceNormalization (c, s, s)\n y = Conv (d, w) }",
        opset=13,
        k=np.float32(0.3),
        s=scale,
        w=(5, 6, 1, 1),
    )
    outcome = run(m, Options())
    assert operators(outcome.model) == "Sigmoid InstanceNormalization Conv"
    again = run(ir.from_proto(ir.to_proto(outcome.model)), Options())
    assert not again.journal.rewrites
