"""Every operator of onnx is known, or unknown on purpose; what is known of it is so."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from normonnx.operators import microsoft
from normonnx.operators.facts import UNKNOWN, Facts
from normonnx.operators.names import MACHINE_LEARNING, MICROSOFT, onnx_name
from normonnx.operators.table import FACTS, facts_of, facts_of_operator
from normonnx.ops.operators import DOMAIN, OPERATORS

UNKNOWN_ON_PURPOSE = (
    # Losses, which are for training.
    *("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    # Text: nothing of it is a number.
    *("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"),
    # Sound and pictures on their way into a model, far from any norm.
    *("BlackmanWindow", "DFT", "HammingWindow", "HannWindow", "MelWeightMatrix", "STFT"),
    "ImageDecoder",
    # Operators of opset 23 and later that few runtimes have a kernel for.
    *("Attention", "CausalConvWithState", "LinearAttention", "RotaryEmbedding", "SwiGLU"),
    # The same bits in another type, which in float64 has no meaning.
    "BitCast",
)

ONNX_OPERATORS = sorted({s.name for s in onnx.defs.get_all_schemas_with_history() if not s.domain})


def test_every_operator_is_known_or_unknown_on_purpose() -> None:
    known = {name for domain, name in FACTS if not domain}
    missing = set(ONNX_OPERATORS) - known
    assert missing <= set(UNKNOWN_ON_PURPOSE), "say what it is, or why not"
    assert not known & set(UNKNOWN_ON_PURPOSE)


def test_no_fact_is_of_an_operator_that_there_is_not() -> None:
    of_the_runtime = {facts.name for facts in microsoft.FACTS if not facts.domain}
    assert {name for domain, name in FACTS if not domain} - of_the_runtime <= set(ONNX_OPERATORS)
    assert {name for domain, name in FACTS if domain == DOMAIN} == set(OPERATORS)
    assert {domain for domain, _ in FACTS} == {"", MACHINE_LEARNING, MICROSOFT, DOMAIN}


def test_no_operator_is_in_two_families() -> None:
    from normonnx.operators import table

    assert len(FACTS) == sum(len(family.FACTS) for family in table._FAMILIES)


@pytest.mark.parametrize("key", FACTS, ids="::".join)
def test_positions_are_of_inputs_that_the_operator_has(key: tuple[str, str]) -> None:
    facts = FACTS[key]
    if not onnx.defs.has(key[1], key[0]):
        return
    variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic
    schema = onnx.defs.get_schema(key[1], key[0])
    every = bool(schema.inputs) and schema.inputs[-1].option == variadic
    for indices in (facts.linear_in, facts.moves):
        assert every or all(index < len(schema.inputs) for index in indices)


def test_subgraphs_are_run_by_control_flow_alone() -> None:
    graph = onnx.defs.OpSchema.AttrType.GRAPH
    runs = {
        name
        for name in ONNX_OPERATORS
        if any(a.type == graph for a in onnx.defs.get_schema(name).attributes.values())
    }
    assert runs == {facts.name for facts in FACTS.values() if facts.control_flow}


def test_operators_of_other_domains_are_others() -> None:
    for name in ("Add", "Shape", "Size", "RandomNormal", "Conv"):
        node = ir.node(name, [], domain="my")
        assert facts_of(node) is UNKNOWN
        assert onnx_name(node) == ""
        assert facts_of(ir.node(name, [])).name == onnx_name(ir.node(name, [])) == name


def test_nothing_is_so_of_an_unknown_operator() -> None:
    assert facts_of_operator("", "NoSuchOperator") is UNKNOWN
    assert Facts(name="") == UNKNOWN
    told = [getattr(UNKNOWN, name) for name in Facts.__struct_fields__]
    assert not any(told)
