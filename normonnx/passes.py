"""The two engines as passes of onnx_ir, to stand in a row with everyone else's.

    import onnx_ir.passes.common as common
    from normonnx.passes import FoldAffine, FuseNorms

    onnx_ir.passes.Sequential(FuseNorms(), FoldAffine(), common.RemoveUnusedNodesPass())(model)

Every rewrite carries its certificate here too. What is missing is the judge, who needs the original
beside the result: `normonnx.verify` is him.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from normonnx import norm, pipeline
from normonnx.affine import fold_affine
from normonnx.journal import Journal
from normonnx.pipeline import Options

__all__ = ["FoldAffine", "FuseNorms"]

_logger = logging.getLogger(__name__)


class FoldAffine(InPlacePass):
    """Fold BatchNormalization and affine arithmetic into the layers around them.

    Args:
        freeze_initializers: take initializers that are also inputs for constants.
        allow_duplicate: copy a layer that others read too, to fold into the copy.
        rules_on: codes of rules to use that are off by default.
        rules_off: codes of rules not to use.
    """

    def __init__(
        self,
        *,
        freeze_initializers: bool = False,
        allow_duplicate: bool = False,
        rules_on: Iterable[str] = (),
        rules_off: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.options = Options(
            freeze_initializers=freeze_initializers,
            allow_duplicate=allow_duplicate,
            rules_on=frozenset(rules_on),
            rules_off=frozenset(rules_off),
        )

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite the model."""
        journal = Journal()
        notes = pipeline.unlist_initializers(model, self.options)
        context = pipeline.context_of(model, journal, self.options)
        fold_affine(context)
        pipeline.finish(context)
        return _result(model, journal, notes)


class FuseNorms(InPlacePass):
    """Fuse each spelled-out norm into one operator, and raise the opset if that needs it.

    Args:
        target: whose operators may be written: "onnx", "ort" or "normonnx".
        opset: the highest default-domain opset the model may get; None for as far as is needed.
        freeze_initializers: take initializers that are also inputs for constants.
        rules_off: codes of rules not to use.
    """

    def __init__(
        self,
        *,
        target: str = "onnx",
        opset: int | None = None,
        freeze_initializers: bool = False,
        rules_off: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.options = Options(
            target=target,
            opset=opset,
            freeze_initializers=freeze_initializers,
            rules_off=frozenset(rules_off),
        )

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite the model; if its opset is raised, it gets another graph."""
        journal = Journal()
        notes = pipeline.unlist_initializers(model, self.options)
        context, raised = pipeline.reach_opset(model, journal, self.options)
        norm.fuse_norms(context)
        pipeline.finish(context)
        if context.model is not model:
            model.graph = context.model.graph
            model.ir_version = context.model.ir_version
            model.functions.update(context.model.functions)
        return _result(model, journal, [*notes, *raised])


def _result(model: ir.Model, journal: Journal, notes: list[str]) -> PassResult:
    for rewrite in journal.rewrites:
        _logger.info("%s %s: %s", rewrite.rule, rewrite.site, rewrite.summary)
    for note in notes:
        _logger.info("%s", note)
    return PassResult(model, modified=bool(journal.rewrites or notes))
