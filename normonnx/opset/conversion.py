"""What an operator that may mean something else becomes in a later opset.

onnx's own converter writes it, one node at a time. It is not believed (`evidence`), and it is known
to be wrong here:

    Resize 10, Upsample    meant the coordinates that are called asymmetric from opset 11 on
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from normonnx.opset.sample import Sample

_ASYMMETRIC_UNTIL = 10
_ASYMMETRIC = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


class NoConversionError(Exception):
    """onnx's converter has nothing for a node."""


def forms(one: Sample, current: int, wanted: int) -> Iterator[onnx.ModelProto]:
    """What may stand for a node in a later opset, the likeliest first.

    Args:
        one: the node as a model; it is only read.
        current: its opset.
        wanted: the later opset.

    Raises:
        NoConversionError: onnx's converter has nothing.
    """
    import onnx.version_converter

    try:
        converted = onnx.version_converter.convert_version(one.proto, wanted)
        onnx.checker.check_model(converted)
    except Exception as error:  # what onnx's C++ code throws
        raise NoConversionError from error
    if current <= _ASYMMETRIC_UNTIL and any(n.op_type == "Resize" for n in converted.graph.node):
        yield _asymmetric(converted)
    yield converted


def _asymmetric(converted: onnx.ModelProto) -> onnx.ModelProto:
    """The form with the coordinates that could not be named before."""
    ours = onnx.ModelProto()
    ours.CopyFrom(converted)
    for node in ours.graph.node:
        given = {attribute.name for attribute in node.attribute}
        if node.op_type == "Resize":
            node.attribute.extend(
                onnx.helper.make_attribute(name, value)
                for name, value in _ASYMMETRIC.items()
                if name not in given
            )
    return ours
