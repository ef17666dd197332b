"""Many near misses say the same about different nodes: they are told once, with a count."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from normonnx.journal import NearMiss

_QUOTED = re.compile(r"'[^']*'")


@dataclass(frozen=True, slots=True)
class MissGroup:
    """Sites of one rule that were left alone for one reason.

    Attributes:
        rule: code of the rule.
        kind: what the sites are.
        sites: their names, in the order of the journal.
        reason: the sentence; names that differ between the sites are an ellipsis.
        remedy: what the user could do, or "".
    """

    rule: str
    kind: str
    sites: tuple[str, ...]
    reason: str
    remedy: str


def group_misses(misses: Iterable[NearMiss]) -> list[MissGroup]:
    """Group by rule, kind, remedy and the reason without the names in it; largest groups first."""
    groups: dict[tuple[str, str, str, str], list[NearMiss]] = {}
    for miss in misses:
        pattern = _QUOTED.sub("'…'", miss.reason)
        groups.setdefault((miss.rule, miss.kind, pattern, miss.remedy), []).append(miss)
    told = [
        MissGroup(
            rule,
            kind,
            tuple(miss.site for miss in members),
            members[0].reason if len({m.reason for m in members}) == 1 else pattern,
            remedy,
        )
        for (rule, kind, pattern, remedy), members in groups.items()
    ]
    return sorted(told, key=lambda group: -len(group.sites))
