"""What was rewritten, what nearly was, and why not: the record every report is made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct, field


class Rewrite(Struct, frozen=True):
    """One rewrite that was made and certified.

    Attributes:
        key: stable across runs on the same model; names the rewrite for bisecting and skipping.
        rule: code of the rule, such as ``NX001``.
        site: name of the node the rewrite is about, as in the original model.
        summary: one line, such as ``Conv·BatchNormalization → Conv``.
        removed: ``(op_type, node name)`` of the nodes that went.
        added: ``(op_type, node name)`` of the nodes that came.
        certificate: how it was proved, one line, such as ``float64 windows agree to 3e-16``.
        readings: ``(name, value)`` of the constants of the original that hold 1/N rounded, and
            were read as 1/N.
    """

    key: str
    rule: str
    site: str
    summary: str
    removed: tuple[tuple[str, str], ...]
    added: tuple[tuple[str, str], ...]
    certificate: str
    readings: tuple[tuple[str, float], ...] = ()


class NearMiss(Struct, frozen=True):
    """A site that was left alone: the fact that stands in the way, and what the user could do.

    Attributes:
        key: as in `Rewrite`.
        rule: code of the rule that nearly fired.
        site: name of the node.
        kind: what the site is, such as ``BatchNormalization`` or ``LayerNorm``.
        reason: one sentence without a full stop, with the names of the nodes in the way.
        remedy: what the user could do, or "".
    """

    key: str
    rule: str
    site: str
    kind: str
    reason: str
    remedy: str = ""


class Refusal(Struct, frozen=True):
    """Why a rewrite is not made: one sentence without a full stop, and the way out or "".

    Attributes:
        reason: the sentence.
        remedy: what the user could do, or "".
        is_notable: whether even a site that is too small to be told of otherwise is told of.
    """

    reason: str
    remedy: str = ""
    is_notable: bool = False


class RefusedError(Exception):
    """Raised inside the building of a proposal; `commit`'s callers turn it into a near miss."""

    def __init__(self, reason: str, remedy: str = "", *, is_notable: bool = False) -> None:
        super().__init__(reason)
        self.refusal: Refusal = Refusal(reason, remedy, is_notable)


class Observer(Protocol):
    """Somebody who looks at rewrites as they are made."""

    def before(self, proposal: Any, summary: str, nodes: Sequence[Any]) -> None:
        """These nodes will go."""

    def after(self, nodes: Sequence[Any]) -> None:
        """These nodes have come."""


class Journal(Struct):
    """The rewrites of one run in the order they were made, and the near misses.

    A run may be told to skip rewrites by their keys (``skip``) or to stop after the first
    ``limit`` of them: with the pipeline being deterministic, that is how a guilty rewrite is
    found and taken back. Or it may be told to make those of a plan and no others (``only``).
    A ``observer`` sees the nodes of each rewrite while they are still in the graph.

    Attributes:
        raised: what raised the opset, the first of all rewrites, if anything did. A plan allows it
            as far as its opset does, and it is told as a note.
    """

    skip: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    limit: int | None = None
    observer: Observer | None = None
    raised: Rewrite | None = None
    rewrites: list[Rewrite] = field(default_factory=list)
    near_misses: dict[str, NearMiss] = field(default_factory=dict)

    @property
    def made(self) -> list[Rewrite]:
        """All rewrites in the order they were made, the raise of the opset among them."""
        return ([] if self.raised is None else [self.raised]) + self.rewrites

    def allows(self, key: str) -> bool:
        """Whether the rewrite of this key may be made in this run."""
        return not self.objection(key)

    def allows_raise(self, key: str) -> bool:
        """Whether the opset may be raised in this run."""
        return key not in self.skip and not self._is_over()

    def objection(self, key: str) -> str:
        """Why the rewrite of this key may not be made in this run, or ""."""
        if key in self.skip:
            return "taken back: the judge found it guilty"
        if self.only is not None and key not in self.only:
            return "it is not part of the plan"
        if self._is_over():
            return "the run was to stop before it"
        return ""

    def _is_over(self) -> bool:
        return self.limit is not None and len(self.made) >= self.limit

    def record(self, rewrite: Rewrite) -> None:
        """Add a rewrite; its site is then no near miss any more."""
        self.rewrites.append(rewrite)
        self.near_misses.pop(rewrite.key, None)

    def miss(self, near_miss: NearMiss) -> None:
        """Note why a site was left alone; the last word about a site counts."""
        self.near_misses[near_miss.key] = near_miss

    def by_rule(self) -> Iterator[tuple[str, list[Rewrite], list[NearMiss]]]:
        """The rewrites and near misses of each rule, rules in the order of their codes."""
        rules = {r.rule for r in self.rewrites} | {m.rule for m in self.near_misses.values()}
        for rule in sorted(rules):
            yield (
                rule,
                [r for r in self.rewrites if r.rule == rule],
                [m for m in self.near_misses.values() if m.rule == rule],
            )
