"""Whether a model's sessions are to have the library of the domain normonnx."""

from __future__ import annotations

import onnx_ir as ir
from msgspec import Struct

from normonnx.errors import EnvironmentLacksError
from normonnx.ops.presence import carries_functions, needs_kernels
from normonnx.runtime.extensions import Extensions


class Kernels(Struct, frozen=True):
    """What runs the operators of the domain normonnx in a model.

    Attributes:
        wanted: whether the model has any.
        missing: why the library cannot be used for them, and the model's functions run; or "".
    """

    wanted: bool
    missing: str = ""

    @property
    def registered(self) -> bool:
        """Whether sessions are to register the library."""
        return self.wanted and not self.missing


def kernels_for(model: ir.Model, name: str, extensions: Extensions, *providers: str) -> Kernels:
    """What runs the operators of the domain normonnx in a model.

    Args:
        model: the model.
        name: what to call it.
        extensions: which libraries there are.
        providers: that it is to run on, by their names or short names.

    Raises:
        EnvironmentLacksError: the library cannot be used, and the model carries no functions.
    """
    if not needs_kernels(model):
        return Kernels(wanted=False)
    missing = extensions.missing(*providers)
    if missing and not carries_functions(model):
        raise EnvironmentLacksError(
            f"the model has operators of normonnx without their functions, and {missing}",
            where=name,
        )
    return Kernels(wanted=True, missing=missing)
