"""The three engines as passes of onnx_ir, to stand in a row with everyone else's.

    import onnx_ir.passes.common as common
    from normonnx.passes import FoldAffine, FuseNorms, Simplify

    passes = FuseNorms(), FoldAffine(), Simplify(), common.TopologicalSortPass()
    onnx_ir.passes.Sequential(*passes)(model)

All take what `normonnx.options.Options` has, as keyword arguments. Every rewrite carries its
certificate here too. What is missing is the judge, who needs the original beside the result:
`normonnx.verify`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias, Unpack

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from normonnx import raising, steps
from normonnx.options import Asked, Options

__all__ = ["FoldAffine", "FuseNorms", "Simplify"]

_logger = logging.getLogger(__name__)

Makers: TypeAlias = "Sequence[Callable[[steps.Workspace], steps.Step]]"
"""What makes the steps of an engine."""


class _Engine(InPlacePass):
    """One engine, with what has to be done before and after it."""

    own: ClassVar[Makers]

    def __init__(self, **asked: Unpack[Asked]) -> None:
        super().__init__()
        self.options: Options = Options().but(**asked)

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite the model; if its opset is raised, it gets another graph."""
        work = steps.Workspace(model, self.options)
        prepare = (steps.InlineFunctions, steps.UnlistInitializers)
        modified = work.run(make(work) for make in (*prepare, *self.own, steps.Finish))
        for rewrite in work.journal.rewrites:
            _logger.info("%s %s: %s", rewrite.rule, rewrite.site, rewrite.summary)
        for note in work.notes:
            _logger.info("%s", note)
        return PassResult(model, modified=modified)


class FoldAffine(_Engine):
    """Fold BatchNormalization and affine arithmetic into the layers around them."""

    own: ClassVar[Makers] = (steps.FoldAffine,)


class FuseNorms(_Engine):
    """Fuse each spelled-out norm into one operator, and raise the opset if that needs it."""

    own: ClassVar[Makers] = (raising.FuseNorms,)


class Simplify(_Engine):
    """Work out what follows from constants and sizes, and take out what does nothing."""

    own: ClassVar[Makers] = (steps.Simplify,)
