"""Which operators of the target come into question for a norm, by the rules of the run."""

from __future__ import annotations

from normonnx.rewrite import Context
from normonnx.rules import RULES
from normonnx.targets import Kind, NormOperator


def candidates(
    context: Context, kind: Kind, highest: int | None, *, also: frozenset[str] = frozenset()
) -> list[NormOperator]:
    """The operators that a norm may be written with, the preferred first.

    What is made for images needs its rule here: a norm that it is not used for may be rows. A norm
    of rows is refused later by its rule.

    Args:
        context: of the run, which says what for and by which rules.
        kind: the normal form of the norm.
        highest: the highest opset that the graph can have; None for any.
        also: codes of further rules.
    """
    return [
        operator
        for operator in context.target.operators_for(kind, highest)
        if not operator.is_for_images or _is_used(context, operator.rule, also)
    ]


def _is_used(context: Context, rule: str, also: frozenset[str]) -> bool:
    """Whether a rule is one of the run's, or one of the further ones."""
    if rule in context.rules_off:
        return False
    return RULES[rule].by_default or rule in context.rules_on | also
