"""Mutants: bytes of a file, or the structure of a model, changed at random.

A mutant is named by its number alone: the same number gives the same mutant on every machine.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from tests.fuzz.seeds import families

Random = np.random.Generator

_MOST_CHANGES = 4
_OF_BYTES = 0.25
"""The share of mutants whose file is changed; the others are changed as models."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant.

    Attributes:
        number: its name.
        family: of its seed.
        seed: the seed's place in the family.
        changes: what was done to it.
        content: the file.
    """

    number: int
    family: str
    seed: int
    changes: tuple[str, ...]
    content: bytes


def mutant(number: int) -> Mutant:
    """The mutant of this number."""
    random = np.random.default_rng([number, 20260])
    seeds = families()
    family = list(seeds)[number % len(seeds)]
    seed = int(random.integers(len(seeds[family])))
    model = seeds[family][seed]
    kinds = _BYTES if random.random() < _OF_BYTES else _STRUCTURE
    count = int(random.integers(1, _MOST_CHANGES + 1))
    names = [str(name) for name in random.choice(list(kinds), count)]
    if kinds is _BYTES:
        content = model.SerializeToString()
        for name in names:
            content = _BYTES[name](content, random)
        return Mutant(number, family, seed, tuple(names), content)
    model = copy.deepcopy(model)
    for name in names:
        _STRUCTURE[name](model, random)
    return Mutant(number, family, seed, tuple(names), model.SerializeToString())


def _span(content: bytes, random: Random) -> tuple[int, int]:
    start = int(random.integers(len(content) + 1))
    return start, min(len(content), start + int(random.geometric(0.05)))


def _flip_bits(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for place in random.integers(len(changed), size=int(random.geometric(0.3))):
        changed[place] ^= 1 << int(random.integers(8))
    return bytes(changed)


def _cut(content: bytes, random: Random) -> bytes:
    start, end = _span(content, random)
    return content[:start] + content[end:] or b"\0"


def _repeat(content: bytes, random: Random) -> bytes:
    start, end = _span(content, random)
    return content[:end] + content[start:end] * int(random.integers(1, 4)) + content[end:]


def _noise(content: bytes, random: Random) -> bytes:
    start, end = _span(content, random)
    return content[:start] + random.bytes(end - start) + content[end:]


def _truncate(content: bytes, random: Random) -> bytes:
    return content[: max(1, int(random.integers(len(content))))]


def _swap(content: bytes, random: Random) -> bytes:
    (a, b), (c, d) = sorted((_span(content, random), _span(content, random)))
    if b > c:
        return content
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


_BYTES: dict[str, Callable[[bytes, Random], bytes]] = {
    "flip bits": _flip_bits,
    "cut": _cut,
    "repeat": _repeat,
    "noise": _noise,
    "truncate": _truncate,
    "swap": _swap,
}


def _graphs(model: ModelProto) -> list[GraphProto]:
    found, pending = [], [model.graph]
    while pending:
        graph = pending.pop()
        found.append(graph)
        for node in graph.node:
            pending.extend(a.g for a in node.attribute if a.HasField("g"))
    return found


def _graph(model: ModelProto, random: Random) -> GraphProto:
    graphs = _graphs(model)
    return graphs[int(random.integers(len(graphs)))]


def _node(model: ModelProto, random: Random) -> NodeProto:
    nodes = [node for graph in _graphs(model) for node in graph.node]
    return nodes[int(random.integers(len(nodes)))] if nodes else NodeProto()


def _weight(model: ModelProto, random: Random) -> TensorProto:
    tensors = [t for graph in _graphs(model) for t in graph.initializer]
    tensors += [a.t for g in _graphs(model) for n in g.node for a in n.attribute if a.HasField("t")]
    return tensors[int(random.integers(len(tensors)))] if tensors else TensorProto()


def _values(graph: GraphProto) -> list[str]:
    made = [name for node in graph.node for name in node.output]
    return [*made, *(i.name for i in graph.input), *(t.name for t in graph.initializer)]


def _pick(random: Random, items: list[str]) -> str:
    return items[int(random.integers(len(items)))] if items else ""


def _drop_node(model: ModelProto, random: Random) -> None:
    graph = _graph(model, random)
    if graph.node:
        del graph.node[int(random.integers(len(graph.node)))]


def _drop_node_through(model: ModelProto, random: Random) -> None:
    """Take a node out and let its readers read its first input."""
    graph = _graph(model, random)
    if not graph.node:
        return
    place = int(random.integers(len(graph.node)))
    gone = graph.node[place]
    if gone.input and gone.output:
        source, result = gone.input[0], gone.output[0]
        del graph.node[place]
        for node in graph.node:
            node.input[:] = [source if name == result else name for name in node.input]


def _repeat_node(model: ModelProto, random: Random) -> None:
    """Another node of the same kind, whose result one reader takes instead."""
    graph = _graph(model, random)
    if not graph.node:
        return
    place = int(random.integers(len(graph.node)))
    node = copy.deepcopy(graph.node[place])
    old = list(node.output)
    node.output[:] = [name and f"{name}_again" for name in old]
    graph.node.insert(place + 1, node)
    for reader in list(graph.node)[place + 2 :]:
        if any(name in old for name in reader.input):
            reader.input[:] = [f"{n}_again" if n in old else n for n in reader.input]
            return


def _rewire(model: ModelProto, random: Random) -> None:
    graph = _graph(model, random)
    nodes = [node for node in graph.node if node.input]
    if nodes:
        node = nodes[int(random.integers(len(nodes)))]
        node.input[int(random.integers(len(node.input)))] = _pick(random, _values(graph))


def _swap_inputs(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    node.input[:] = [str(name) for name in random.permutation(list(node.input))]


def _change_arity(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    field = node.input if random.random() < 0.7 else node.output
    if field and random.random() < 0.5:
        field.pop()
    else:
        field.append(_pick(random, ["", *_values(model.graph), f"new{random.integers(9)}"]))


def _change_operator(model: ModelProto, random: Random) -> None:
    _node(model, random).op_type = _pick(random, _OPERATORS)


def _change_attribute(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    if not node.attribute:
        return
    place = int(random.integers(len(node.attribute)))
    attribute = node.attribute[place]
    if random.random() < 0.3:
        del node.attribute[place]
    elif attribute.type == AttributeProto.INT:
        attribute.i = int(random.choice(_INTEGERS))
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = float(random.choice(_FLOATS))
    elif attribute.type == AttributeProto.INTS and attribute.ints:
        attribute.ints[int(random.integers(len(attribute.ints)))] = int(random.choice(_INTEGERS))
    elif attribute.type == AttributeProto.STRING:
        attribute.s = bytes(random.choice([b"", b"SAME_UPPER", b"VALID", b"\xff\xfe", b"tanh"]))
    else:
        attribute.type = int(random.integers(0, 15))


def _change_values(model: ModelProto, random: Random) -> None:
    tensor = _weight(model, random)
    if not (tensor.data_type and tensor.dims):
        return
    try:
        array = numpy_helper.to_array(tensor).copy()
    except (ValueError, TypeError, KeyError):  # an earlier change made it none
        return
    if array.dtype.kind not in "fiu" or not array.size:
        return
    places = random.integers(array.size, size=int(random.geometric(0.3)))
    with np.errstate(all="ignore"):
        news = np.asarray(random.choice(_FLOATS, places.size)).astype(array.dtype)
    array.reshape(-1)[places] = news
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _change_dims(model: ModelProto, random: Random) -> None:
    tensor = _weight(model, random)
    dims = list(tensor.dims)
    way = int(random.integers(4))
    if way == 0:
        tensor.dims[:] = [int(d) for d in random.permutation(dims)]
    elif way == 1:
        tensor.dims.append(1)
    elif way == 2 and dims:
        tensor.dims[int(random.integers(len(dims)))] = int(random.choice(_INTEGERS))
    else:
        tensor.dims.insert(0, 1)


def _change_type(model: ModelProto, random: Random) -> None:
    _weight(model, random).data_type = int(random.integers(0, 25))


def _change_interface(model: ModelProto, random: Random) -> None:
    infos = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    if not infos:
        return
    info = infos[int(random.integers(len(infos)))]
    tensor = info.type.tensor_type
    way = int(random.integers(5))
    if way == 0:
        tensor.elem_type = int(random.integers(0, 17))
    elif way == 1:
        tensor.ClearField("shape")
    elif way == 2 and tensor.shape.dim:
        tensor.shape.dim[int(random.integers(len(tensor.shape.dim)))].dim_value = int(
            random.choice(_INTEGERS)
        )
    elif way == 3 and tensor.shape.dim:
        tensor.shape.dim[int(random.integers(len(tensor.shape.dim)))].dim_param = "n"
    else:
        info.name = _pick(random, _values(model.graph))


def _forget_shapes(model: ModelProto, random: Random) -> None:
    del model.graph.value_info[:]


def _shuffle(model: ModelProto, random: Random) -> None:
    graph = _graph(model, random)
    nodes = [copy.deepcopy(node) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes[i] for i in random.permutation(len(nodes)))


def _list_initializer(model: ModelProto, random: Random) -> None:
    """An initializer that a caller may override."""
    graph = model.graph
    if graph.initializer:
        tensor = graph.initializer[int(random.integers(len(graph.initializer)))]
        info = graph.input.add(name=tensor.name)
        info.type.tensor_type.elem_type = tensor.data_type
        for dim in tensor.dims:
            info.type.tensor_type.shape.dim.add(dim_value=dim)


def _more_outputs(model: ModelProto, random: Random) -> None:
    """A value inside becomes an output, too."""
    model.graph.output.add(name=_pick(random, _values(model.graph)))


def _change_opset(model: ModelProto, random: Random) -> None:
    entry = model.opset_import[int(random.integers(len(model.opset_import)))]
    entry.version = int(random.integers(0, 30))


def _change_ir_version(model: ModelProto, random: Random) -> None:
    model.ir_version = int(random.integers(0, 16))


def _rename(model: ModelProto, random: Random) -> None:
    names = _values(model.graph)
    old, new = _pick(random, names), _pick(random, ["", "\x1b[31m", "a/b", *names])
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]


_INTEGERS = np.array([-(2**63), -(2**31), -7, -2, -1, 0, 1, 2, 3, 5, 64, 4096, 2**31, 2**62])
_FLOATS = np.array([0, -0.0, 1, -1, 1e-45, 1e-12, 1e38, -1e38, np.inf, -np.inf, np.nan, 3.5])
_OPERATORS = (
    "Add Sub Mul Div Pow Sqrt Reciprocal Neg Relu Identity Cast Reshape Transpose ReduceMean "
    "ReduceSum Conv ConvTranspose Gemm MatMul BatchNormalization LayerNormalization "
    "InstanceNormalization Concat Split Slice Pad MaxPool AveragePool GlobalAveragePool Flatten "
    "Squeeze Unsqueeze Expand Where Softmax Dropout Constant ConstantOfShape Shape If Loop Nothing"
).split()

_STRUCTURE: dict[str, Callable[[ModelProto, Random], None]] = {
    "drop a node": _drop_node,
    "drop a node, read its input": _drop_node_through,
    "repeat a node": _repeat_node,
    "rewire": _rewire,
    "swap inputs": _swap_inputs,
    "change arity": _change_arity,
    "change the operator": _change_operator,
    "change an attribute": _change_attribute,
    "change values": _change_values,
    "change dimensions": _change_dims,
    "change a type": _change_type,
    "change the interface": _change_interface,
    "forget shapes": _forget_shapes,
    "shuffle": _shuffle,
    "list an initializer": _list_initializer,
    "more outputs": _more_outputs,
    "change the opset": _change_opset,
    "change the IR version": _change_ir_version,
    "rename": _rename,
}
