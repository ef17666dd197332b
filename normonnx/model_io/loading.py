"""Load a model from wherever it is, with its weights left on disk and its data files guarded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import onnx_ir as ir
from msgspec import Struct, structs
from onnx import ModelProto, TensorProto

from normonnx.errors import InvalidModelError, UnsupportedModelError, UsageError
from normonnx.graph.nesting import graphs_of, subgraphs
from normonnx.model_io import borrowing
from normonnx.model_io.borrowing import Borrowed
from normonnx.model_io.carry import refuse_uncarried
from normonnx.model_io.contents import Contents, contents_of
from normonnx.model_io.digest import Digest
from normonnx.model_io.element_types import refuse_mixed_types
from normonnx.model_io.guard import Guard
from normonnx.model_io.limits import refuse_deep, refuse_endless
from normonnx.model_io.operators import refuse_malformed
from normonnx.model_io.opset_imports import import_once
from normonnx.model_io.parse import read_file, read_stdin, refuse_incomplete
from normonnx.model_io.payload import refuse_wrong_payload
from normonnx.model_io.text import refuse_garbled

STDIN = "-"

Body: TypeAlias = "ir.Graph | ir.Function"

Source: TypeAlias = "str | os.PathLike[str] | bytes | ModelProto | ir.Model | Any"
"""A path, ``-`` for standard input, the bytes of a model, an ``onnx.ModelProto``, an
``onnx_ir.Model``, or a ``torch.onnx.ONNXProgram`` (by its attributes)."""


class _Held:
    """A model in memory, and how to make the same one again."""

    def __init__(self, model: ir.Model, again: Callable[[], ir.Model], *, shown: bool = False):
        self._model: ir.Model | None = model
        self._again = again
        self._is_shown = shown

    def show(self) -> ir.Model:
        """The model, the same object each time, which from now on is nobody's to change."""
        if self._model is None:
            self._model = self._again()
        self._is_shown = True
        return self._model

    def give(self) -> ir.Model:
        """A model that nobody else has: the one in memory if nobody has seen it, or a new one."""
        if self._model is None or self._is_shown:
            return self._again()
        given, self._model = self._model, None
        return given


class LoadedModel(Struct, frozen=True):
    """A model and where it came from.

    Attributes:
        held: the model; see `model` and `give`.
        name: what to call it: the file's name, or the graph's.
        path: the absolute path it was loaded from, None when it came from memory.
        nbytes: bytes of the file and of the external data its tensors refer to; for a model that
            came as an object, bytes of its tensors.
        sha256: of the file, or of the bytes it came as; "" for objects.
        external: whether the source keeps weights in data files.
        content: the bytes it came as when they came without a path.
        origin: the path of the file that it was changed from, None where nothing was changed.
    """

    held: _Held
    name: str
    path: Path | None
    nbytes: int
    sha256: str
    external: bool = False
    content: bytes | None = None
    origin: Path | None = None

    @property
    def model(self) -> ir.Model:
        """The model, not to be changed; weights in data files stay there until they are touched."""
        return self.held.show()

    def give(self) -> ir.Model:
        """The same model as one of the caller's own, to be changed at will."""
        return self.held.give()

    @property
    def file_bytes(self) -> int | None:
        """Bytes of the file and its data files; None for a model that came as an object."""
        return self.nbytes if self.sha256 else None

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether it was loaded from `path`."""
        own = self.path or self.origin
        return own is not None and os.path.realpath(path) == os.path.realpath(own)

    def changed(self, change: Callable[[ir.Model], Any]) -> LoadedModel:
        """The model with something changed in place, which is in no file."""

        def again() -> ir.Model:
            model = self.give()
            change(model)
            return model

        return structs.replace(
            self, held=_Held(again(), again), path=None, content=None, origin=self.path
        )

    def __repr__(self) -> str:
        return f"<LoadedModel {self.name!r}: {self.nbytes} bytes>"


def load(
    source: Source,
    *,
    allow_data_dir: Iterable[str | os.PathLike[str]] = (),
    allow_hardlinks: bool = False,
    untrusted: bool = False,
) -> LoadedModel:
    """Load a model; the argument is never changed.

    Args:
        source: see `Source`.
        allow_data_dir: further directories that external data may lie in.
        allow_hardlinks: accept data files that have more than one name.
        untrusted: refuse data files reached through links of any kind.

    Returns:
        The model, structurally sound (every value has a producer, nodes are in order), with each
        external tensor pointing at the real path of a file that was checked.

    Raises:
        UnreadableModelError: missing, truncated, no ONNX model.
        InvalidModelError: breaks the standard in a way that leaves its meaning open.
        UnsupportedModelError: holds what could not be written back.
        UnsafeModelError: asks for a file it may not read.
        UsageError: `source` is nothing a model can be loaded from.
    """
    allowed = tuple(Path(directory) for directory in allow_data_dir)
    if isinstance(source, ir.Model):
        return _from_ir(source)
    if isinstance(source, ModelProto):
        copy = ModelProto()
        copy.CopyFrom(source)
        name = source.graph.name or "model"
        refuse_incomplete(copy, name)
        guard = Guard.of(
            name,
            None,
            allow_data_dir=allowed,
            allow_hardlinks=allow_hardlinks,
            untrusted=untrusted,
        )
        held, external = _deserialize(copy, guard)
        return LoadedModel(held, name, None, weight_bytes(held.show()), "", external > 0)
    if isinstance(source, str | os.PathLike | bytes):
        path: Path | None = None
        if isinstance(source, bytes):
            name, content = "<bytes>", source
        elif source == STDIN:
            name, content = "<stdin>", read_stdin()
        else:
            path = Path(os.path.abspath(source))
            name = path.name
            content = read_file(path, str(source))
        where = name if path is None else str(source)
        guard = Guard.of(
            name,
            path,
            allow_data_dir=allowed,
            allow_hardlinks=allow_hardlinks,
            untrusted=untrusted,
        )
        digest = Digest()
        digest.update(content)
        proto, borrowed = borrowing.parse(content, where)
        size = len(content)
        sha256 = digest.hexdigest()
        kept = content if path is None else None
        del content
        held, external = _deserialize(proto, guard, borrowed)
        return LoadedModel(held, name, path, size + external, sha256, external > 0, kept)
    for attribute in ("model", "model_proto"):
        inner = getattr(source, attribute, None)
        if isinstance(inner, ir.Model | ModelProto):
            return load(
                inner,
                allow_data_dir=allowed,
                allow_hardlinks=allow_hardlinks,
                untrusted=untrusted,
            )
    raise UsageError(
        f"cannot load a model from {type(source).__name__}",
        hint="pass a path, bytes, an onnx.ModelProto, an onnx_ir.Model or an ONNXProgram",
    )


def _from_ir(model: ir.Model) -> LoadedModel:
    """Take a model as it is: who built the object chose the files its tensors read."""
    name = model.graph.name or "model"
    refuse_deep(model, name)
    _refuse_dangling(model, name)
    if not _sorted(model):
        raise InvalidModelError(
            "a node comes before one it reads from", where=name, hint="call model.graph.sort()"
        )
    external = any(isinstance(tensor, ir.ExternalTensor) for tensor in tensors_of(model))
    held = _Held(model, model.clone, shown=True)
    return LoadedModel(held, name, None, weight_bytes(model), "", external)


def _deserialize(
    proto: ModelProto, guard: Guard, borrowed: Borrowed = MappingProxyType({})
) -> tuple[_Held, int]:
    """Turn the proto, which becomes part of the model, into IR; and bytes of external data."""
    try:
        contents = contents_of(proto, guard.model)
        refuse_garbled(proto, contents, guard.model)
        import_once(proto, guard.model)
        for function in contents.functions:
            import_once(function, guard.model)
        refuse_uncarried(proto, contents, guard.model)
        _settle_outputs(contents, guard.model)
        refuse_endless(contents.nodes, guard.model)
        refuse_malformed(proto, contents, guard.model)
        external = []
        # The initializers of the main graph come first.
        for index, tensor in enumerate(contents.tensors):
            if tensor.data_location == TensorProto.EXTERNAL:
                external.append(tensor)
            else:
                refuse_wrong_payload(tensor, guard.model, borrowed=borrowed.get(index))
        external_bytes = sum(guard.admit(tensor) for tensor in external)
        model = _to_ir(proto, borrowed)
        refuse_mixed_types(proto, guard.model)
    except (ir.serde.SerdeError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise InvalidModelError(
            f"the model cannot be read: {_root_cause(error)}", where=guard.model
        ) from error
    _refuse_dangling(model, guard.model)
    _put_in_order(model, guard.model)

    def again() -> ir.Model:
        same = _to_ir(proto, borrowed)
        _put_in_order(same, guard.model)
        return same

    return _Held(model, again), external_bytes


def _to_ir(proto: ModelProto, borrowed: Borrowed) -> ir.Model:
    """The message, which is not changed, as IR, with the weights that it lacks."""
    model = ir.from_proto(proto)
    for index, raw in borrowed.items():
        initializer = proto.graph.initializer[index]
        weight = borrowing.tensor(initializer, raw)
        model.graph.initializers[initializer.name].const_value = weight
    return model


def _settle_outputs(contents: Contents, where: str) -> None:
    """Give an output that is an input of its graph, and states no type, the input's type.

    Both are one value in the IR, where the type that is read last would win.
    """
    for graph in contents.graphs:
        types = {info.name: info.type for info in graph.input}
        for info in graph.output:
            stated = types.get(info.name)
            if stated is None or info.type == stated:
                continue
            if info.type.WhichOneof("value") is not None:
                raise UnsupportedModelError(
                    f"{info.name!r} is an input and an output of different types or shapes",
                    where=where,
                    hint="put an Identity between them",
                )
            info.type.CopyFrom(stated)


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:199]}…"


def _tops(model: ir.Model) -> list[Body]:
    return [model.graph, *model.functions.values()]


def tensors_of(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """Initializers and tensors in attributes, of every graph and function."""
    for graph in graphs_of(model):
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value
        for node in graph:
            for attribute in node.attributes.data.values():
                yield from _tensors_in(attribute)


def _tensors_in(attribute: ir.Attr) -> Iterable[ir.TensorProtocol]:
    if attribute.is_ref() or attribute.value is None:
        return ()
    if attribute.type == ir.AttributeType.TENSOR:
        return (attribute.value,)
    if attribute.type == ir.AttributeType.TENSORS:
        tensors: Sequence[ir.TensorProtocol] = attribute.value
        return tensors
    return ()


def weight_bytes(model: ir.Model) -> int:
    """Bytes of all tensors, each object counted once; none is read."""
    distinct = {id(tensor): tensor for tensor in tensors_of(model)}
    return sum(tensor.nbytes for tensor in distinct.values() if tensor.dtype != ir.DataType.STRING)


def _refuse_dangling(model: ir.Model, where: str) -> None:
    for body in graphs_of(model):
        for node in body:
            for value in node.inputs:
                if value is not None and not _is_made(value):
                    raise InvalidModelError(
                        f"node {node.name!r} reads {value.name!r}, and no node gives it",
                        where=where,
                        hint="an input or an initializer of that name is missing, or a node",
                    )
        for value in body.outputs:
            if not _is_made(value):
                raise InvalidModelError(
                    f"nothing in its graph makes the output {value.name!r}", where=where
                )


def _is_made(value: ir.Value) -> bool:
    """Whether there is something that gives a value what it holds."""
    return bool(value.producer() or value.is_graph_input() or value.is_initializer())


def _in_order(body: Body, made: set[ir.Node]) -> bool:
    """Whether every node of `body` comes after the nodes it, or a graph inside it, reads from."""
    for node in body:
        producers = [value.producer() for value in node.inputs if value is not None]
        if any(producer not in made for producer in producers if producer is not None):
            return False
        if not all(_in_order(graph, made) for graph in subgraphs(node)):
            return False
        made.add(node)
    return True


def _sorted(model: ir.Model) -> bool:
    return all(_in_order(body, set()) for body in _tops(model))


def _put_in_order(model: ir.Model, where: str) -> None:
    """Sort the nodes if a node comes before one it reads from; a cycle cannot be sorted."""
    if _sorted(model):
        return
    for body in _tops(model):
        try:
            body.sort()
        except ValueError as error:
            raise InvalidModelError("the graph has a cycle", where=where) from error
    if not _sorted(model):
        raise InvalidModelError("a graph reads what it makes itself", where=where)
