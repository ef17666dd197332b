"""Everything a ModelProto can hold comes back from a save, or the model is refused."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from google.protobuf.message import Message
from onnx import AttributeProto, ModelProto, TensorProto, helper
from small_models import branch_model, constant_function, model, weight

from normonnx import model_io
from normonnx.errors import InvalidModelError, UnsupportedModelError
from normonnx.model_io.contents import contents_of


def _training(proto: ModelProto) -> None:
    proto.training_info.add().algorithm.name = "adam"


def _sparse_initializer(proto: ModelProto) -> None:
    sparse = proto.graph.sparse_initializer.add()
    sparse.values.CopyFrom(helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0]))


def _sparse_attribute(proto: ModelProto) -> None:
    attribute = AttributeProto(name="sparse_value", type=AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.dims.extend([1])
    proto.graph.node[0].attribute.append(attribute)


def _map(proto: ModelProto) -> None:
    proto.graph.value_info.add(name="m").type.map_type.key_type = TensorProto.INT64


def _map_in_sequence(proto: ModelProto) -> None:
    leaf = proto.graph.value_info.add(name="m").type.sequence_type.elem_type
    leaf.map_type.key_type = TensorProto.INT64


def _opaque(proto: ModelProto) -> None:
    proto.graph.value_info.add(name="m").type.opaque_type.name = "tokenizer"


def _segment(proto: ModelProto) -> None:
    proto.graph.initializer[0].segment.begin = 0


def _untyped_attribute(proto: ModelProto) -> None:
    proto.graph.node[0].attribute.append(AttributeProto(name="axis", i=1))


def _device(proto: ModelProto) -> None:
    proto.configuration.add(name="pair", num_devices=2)


UNSUPPORTED: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "training info": (_training, "training_info"),
    "sparse initializer": (_sparse_initializer, "sparse"),
    "sparse attribute": (_sparse_attribute, "sparse"),
    "map": (_map, "zipmap=False"),
    "sequence of maps": (_map_in_sequence, "zipmap=False"),
    "opaque": (_opaque, "opaque"),
    "segment": (_segment, "segments"),
    "attribute without a type": (_untyped_attribute, "has no type"),
    "device configuration too early": (_device, "IR version 11"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_carried_is_refused(case: str) -> None:
    change, sentence = UNSUPPORTED[case]
    proto = model()
    change(proto)
    with pytest.raises(UnsupportedModelError) as caught:
        model_io.load(proto)
    assert sentence in str(caught.value)


NESTED: dict[str, Callable[[ModelProto], Message]] = {
    "in the model": lambda proto: proto,
    "in the graph": lambda proto: proto.graph,
    "in a node": lambda proto: proto.graph.node[0],
    "in a type": lambda proto: proto.graph.input[0].type.tensor_type.shape,
    "in a weight": lambda proto: proto.graph.initializer.add(name="w", data_type=1, dims=[0]),
    "in an entry of a weight": lambda proto: proto.graph.initializer.add(
        name="w", data_type=1, dims=[0]
    ).metadata_props.add(key="k"),
    "in an operator set": lambda proto: proto.opset_import[0],
}


@pytest.mark.parametrize("place", NESTED)
def test_fields_of_a_newer_onnx_are_refused(place: str) -> None:
    proto = model()
    NESTED[place](proto).MergeFromString(bytes([0xFA, 0x07, 0x01, 0x2A]))
    content = proto.SerializeToString()
    for source in (content, ModelProto.FromString(content)):
        with pytest.raises(UnsupportedModelError, match="does not know"):
            model_io.load(source)


def _twice(field: str) -> ModelProto:
    proto = model(functions=(constant_function(weight("c")),))
    graph = proto.graph
    repeated = {
        "metadata entry": proto.metadata_props,
        "function": proto.functions,
        "initializer": graph.initializer,
        "graph input": graph.input,
    }
    if field == "attribute":
        for value in (1, 2):
            graph.node[0].attribute.append(helper.make_attribute("axis", value))
    else:
        repeated[field].append(repeated[field][0])
    return proto


@pytest.mark.parametrize(
    "field",
    ["metadata entry", "function", "initializer", "graph input", "attribute"],
)
def test_what_is_there_twice_is_refused_instead_of_dropped(field: str) -> None:
    with pytest.raises(InvalidModelError, match=f"the {field} '.*' is there twice"):
        model_io.load(_twice(field))


def test_initializer_without_a_name_is_refused() -> None:
    proto = model()
    proto.graph.initializer.add(data_type=TensorProto.FLOAT, dims=[0])
    with pytest.raises(InvalidModelError, match="no name"):
        model_io.load(proto)


def _rich() -> ModelProto:
    """A model that uses every field that is carried."""
    proto = model(weight(), weight("unused"), functions=(constant_function(weight("c")),))
    proto.ir_version = 11
    node = proto.graph.node.add(op_type="Shifted", domain="own", input=["y"], output=["z"])
    node.name = "call"
    node.metadata_props.add(key="scope", value="net.layer")
    function = proto.functions[0]
    function.doc_string = "function doc"
    function.metadata_props.add(key="from", value="test")
    function.attribute.append("gain")
    function.attribute_proto.append(helper.make_attribute("mode", "shift", doc_string="d"))
    function.value_info.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, [8, 64]))
    graph = proto.graph
    graph.metadata_props.add(key="g", value="v")
    graph.initializer[1].doc_string = "tensor doc"
    graph.initializer[1].metadata_props.add(key="t", value="v")
    graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 64]))
    graph.output[0].type.denotation = "TENSOR"
    graph.output[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    graph.input[0].metadata_props.add(key="i", value="v")
    annotation = graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="unused")
    proto.configuration.add(name="pair", num_devices=2, device=["a", "b"])
    node.device_configurations.add(configuration_id="pair", pipeline_stage=1)
    return proto


def _comparable(proto: ModelProto) -> ModelProto:
    """Without what may come back in another order or be added: see `carry`'s docstring."""
    copy = ModelProto()
    copy.CopyFrom(proto)
    contents = contents_of(copy)
    for graph in contents.graphs:
        names = {tensor.name for tensor in graph.initializer}
        infos = [info for info in graph.value_info if info.name not in names]
        del graph.value_info[:]
        graph.value_info.extend(sorted(infos, key=lambda info: info.name))
    nodes = [node for _, own in contents.nodes for node in own]
    for holder in (copy, *contents.graphs, *nodes):
        entries = sorted(holder.metadata_props, key=lambda entry: entry.key)
        del holder.metadata_props[:]
        holder.metadata_props.extend(entries)
    for tensor in contents.tensors:
        tensor.ClearField("data_location")
    return copy


@pytest.mark.parametrize("build", [_rich, lambda: branch_model(weight())], ids=["rich", "branches"])
@pytest.mark.parametrize("external_data", [False, True], ids=["one file", "external"])
def test_everything_else_comes_back(
    build: Callable[[], ModelProto], external_data: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    proto = build()
    path = tmp_path_factory.mktemp("carry") / "m.onnx"
    saved = model_io.save(model_io.load(proto).model, path, external_data=external_data)
    assert (saved.data is not None) == external_data
    assert str(_comparable(onnx.load(path))) == str(_comparable(proto))
