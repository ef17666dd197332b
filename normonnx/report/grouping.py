"""Many sites have the same told about them: it is told once, with a count."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from normonnx.journal import NearMiss
from normonnx.report.inspected import Site

_QUOTED = re.compile(r"'[^']*'")


class Group(Struct, frozen=True):
    """Sites of one rule and kind that fare alike.

    Attributes:
        rule: code of the rule.
        kind: what the sites are.
        rewritten: whether they are rewritten.
        outcome: what happens or why nothing does; names that differ are an ellipsis.
        remedy: what the user could do, or "".
        sites: the sites, in the order they came.
    """

    rule: str
    kind: str
    rewritten: bool
    outcome: str
    remedy: str
    sites: tuple[Site, ...]


def site_of(miss: NearMiss) -> Site:
    """A near miss as a site."""
    return Site(
        miss.rule, miss.kind, miss.site, rewritten=False, outcome=miss.reason, remedy=miss.remedy
    )


def grouped(sites: Iterable[Site]) -> list[Group]:
    """Group by everything but the names, those of other nodes in the outcome among them."""
    members: dict[tuple[str, str, bool, str, str], list[Site]] = {}
    for site in sites:
        pattern = _QUOTED.sub("'…'", site.outcome)
        key = (site.rule, site.kind, site.rewritten, pattern, site.remedy)
        members.setdefault(key, []).append(site)
    return [
        Group(
            rule,
            kind,
            rewritten,
            found[0].outcome if len({site.outcome for site in found}) == 1 else pattern,
            remedy,
            tuple(found),
        )
        for (rule, kind, rewritten, pattern, remedy), found in members.items()
    ]
