"""One model: what it was, what was done, what it is now, what was left and why."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from normonnx.drawing import Picture
from normonnx.report.grouping import grouped, site_of
from normonnx.report.html.bench_section import latency
from normonnx.report.html.charts import bars
from normonnx.report.html.graph import draw
from normonnx.report.html.markup import (
    Content,
    Markup,
    code,
    element,
    joined,
    name,
    sentence,
    table,
)
from normonnx.report.html.parity_section import parity
from normonnx.report.inspected import Site
from normonnx.report.layout import magnitude, magnitude_of_bytes
from normonnx.report.names import safe_name
from normonnx.report.result import ModelFacts, ModelReport, counted
from normonnx.rules import RULES

BADGES = {
    "pass": ("PASS", "good"),
    "unverified": ("UNVERIFIED", "warn"),
    "inconclusive": ("INCONCLUSIVE", "warn"),
}


class Detail(Struct, frozen=True):
    """How much is shown, so that a page of many models stays small.

    Attributes:
        pictures: of rewrites, per model.
        outputs: of the verdict, per model.
        groups: of near misses, per model.
        names: of nodes, per group.
    """

    pictures: int = 12
    outputs: int = 12
    groups: int = 40
    names: int = 12


def badge(status: str) -> Markup:
    """The outcome in one word."""
    word, colour = BADGES.get(status, (status.upper(), "bad"))
    return element("span", word, class_=f"badge {colour}")


def model_section(report: ModelReport, detail: Detail) -> Markup:
    """All there is to say of one model."""
    title = element("h2", badge(report.status), name(report.name))
    if report.error:
        head = f"error[{report.error_code}]: " if report.error_code else "error: "
        return element(
            "section",
            title,
            element("p", element("b", head), sentence(report.error), class_="bad"),
            element("p", sentence(report.error_where)) if report.error_where else None,
            element("p", "hint: ", sentence(report.error_hint)) if report.error_hint else None,
        )
    return element(
        "section",
        title,
        _tiles(report),
        _rewrites(report, detail),
        _reverted(report),
        _unfit(report, detail),
        _operators(report),
        _size(report),
        None if report.bench is None else latency(report.bench),
        None if report.verdict is None else parity(report.verdict, most_outputs=detail.outputs),
        near_misses([site_of(miss) for miss in report.near_misses], detail),
        _written(report),
    )


def _tile(value: str, label: str) -> Markup:
    return element("div", element("b", value), element("span", label, class_="soft"), class_="tile")


def _tiles(report: ModelReport) -> Markup:
    tiles = [_tile(f"{len(report.rewrites):,}", "rewrites, each with a certificate")]
    before, after = report.before, report.after
    if before is not None and after is not None:
        tiles.append(_tile(f"{before.nodes:,} → {after.nodes:,}", "nodes"))
        tiles.append(
            _tile(
                f"{magnitude_of_bytes(before.nbytes)} → {magnitude_of_bytes(after.nbytes)}",
                f"weights, {magnitude(after.parameters)} parameters",
            )
        )
        opset = f"{before.opset}" if before.opset == after.opset else (
            f"{before.opset} → {after.opset}"
        )  # fmt: skip
        tiles.append(_tile(opset, "opset"))
    ratio = report.ratio
    if ratio is not None:
        tiles.append(_tile(f"{ratio:.2f}×", "the original's own distance to float64"))
    if report.bench is not None and report.bench.comparisons[0].ratios:
        interval = report.bench.comparisons[0].ratios[0]
        tiles.append(_tile(f"{interval.estimate:.2f}×", f"the time: {interval.word}"))
    tiles.append(_tile(f"{len(report.near_misses):,}", "sites left alone"))
    return element("div", *tiles, class_="tiles")


def _rewrites(report: ModelReport, detail: Detail) -> Markup:
    if not report.rewrites:
        return element("p", "There was nothing to rewrite.")
    kinds = Counter((r.rule, r.summary) for r in report.rewrites).most_common()
    rows: list[list[Content]] = [
        [code(rule), RULES[rule].name if rule in RULES else "", sentence(summary), f"{count:,}"]
        for (rule, summary), count in kinds
    ]
    return joined(
        element("h3", "What was rewritten"),
        table(["rule", "name", "rewrite", "times"], rows, numeric=1),
        *(picture_card(picture) for picture in report.pictures[: detail.pictures]),
        _notes(report),
    )


def picture_card(picture: Picture) -> Markup:
    """A rewrite before and after, with the equation that makes both the same."""
    rule = RULES.get(picture.rule)
    equation = None
    if rule is not None:
        equation = element(
            "details", element("summary", "why this is the same"),
            element("p", rule.title, "."), element("pre", "\n".join(rule.equation)),
        )  # fmt: skip
    sides = [
        element(
            "figure",
            element("figcaption", f"{word}: {counted(drawing.nodes, 'node')}"),
            element("div", draw(drawing, word, is_new=is_new), class_="scroll"),
        )
        for word, drawing, is_new in (
            ("before", picture.before, False), ("after", picture.after, True),
        )
    ]  # fmt: skip
    return element(
        "div",
        element("h3", f"{picture.rule} ", sentence(picture.summary)),
        element("p", f"{_times(picture.count)}, here at ", name(picture.site), class_="soft"),
        element("div", *sides, class_="pair"),
        equation,
        class_="card",
    )


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count:,} times"


def _notes(report: ModelReport) -> Markup | None:
    if not report.notes:
        return None
    return element("ul", *(element("li", sentence(note)) for note in report.notes))


def _reverted(report: ModelReport) -> Markup | None:
    if not report.reverted:
        return None
    items = [
        element("li", sentence(item.rewrite.summary), " at ", name(item.rewrite.site), ": ",
                sentence(item.reason))
        for item in report.reverted
    ]  # fmt: skip
    return joined(element("h3", "Taken back"), element("ul", *items, class_="warn"))


def _unfit(report: ModelReport, detail: Detail) -> Markup | None:
    if not report.unfit:
        return None
    rows: list[list[Content]] = [
        [code(miss.rule), name(miss.site), sentence(miss.kind), sentence(miss.reason)]
        for miss in report.unfit[: detail.groups]
    ]
    return joined(
        element("h3", f"What of the plan no longer fits: {len(report.unfit):,}"),
        table(["rule", "where", "what", "why"], rows),
    )


def _operators(report: ModelReport) -> Markup | None:
    before, after = report.before, report.after
    if before is None or after is None:
        return None
    changed, kept = _changes(before, after)
    if not changed:
        return None
    charts = [
        element(
            "figure",
            element("figcaption", name(operator)),
            element(
                "div",
                bars([("before", old, f"{old:,}"), ("after", new, f"{new:,}")],
                     f"{safe_name(operator)} before and after", width=150),
                class_="scroll",
            ),
        )
        for operator, old, new in changed[:8]
    ]  # fmt: skip
    rows: list[list[Content]] = [
        [name(operator), f"{old:,}", f"{new:,}", f"{new - old:+,}"]
        for operator, old, new in [*changed, *kept]
    ]
    return joined(
        element("h3", "Operators"),
        element("div", *charts, class_="bars"),
        element(
            "details",
            element("summary", f"all {len(rows)} operators"),
            table(["operator", "before", "after", "change"], rows, numeric=3),
        ),
    )


def _changes(
    before: ModelFacts, after: ModelFacts
) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    names = sorted({*before.operators, *after.operators})
    counts = [(n, before.operators.get(n, 0), after.operators.get(n, 0)) for n in names]
    changed = [count for count in counts if count[1] != count[2]]
    changed.sort(key=lambda count: -abs(count[2] - count[1]))
    return changed, [count for count in counts if count[1] == count[2]]


def _size(report: ModelReport) -> Markup | None:
    if report.before is None or report.after is None or not report.rewrites:
        return None
    rows = [
        (word, float(facts.nbytes), magnitude_of_bytes(facts.nbytes))
        for word, facts in (("before", report.before), ("after", report.after))
    ]
    chart = bars(rows, "bytes of all weights before and after")
    return joined(element("h3", "Size of the weights"), element("div", chart, class_="scroll"))


def near_misses(sites: list[Site], detail: Detail) -> Markup | None:
    """What stays, why, and what could be done about it; like sites are told of once."""
    if not sites:
        return None
    groups = sorted(grouped(sites), key=lambda group: -len(group.sites))
    rows: list[list[Content]] = []
    for group in groups[: detail.groups]:
        names: list[Content] = []
        for site in group.sites[: detail.names]:
            names += [name(site.name, longest=60), element("br")]
        more = len(group.sites) - detail.names
        names.append(f"and {more:,} more" if more > 0 else None)
        rows.append(
            [
                code(group.rule),
                sentence(group.kind),
                joined(*names),
                sentence(group.outcome),
                sentence(group.remedy) or "–",
            ]
        )
    hidden = len(groups) - detail.groups
    return joined(
        element("h3", f"What was left alone: {counted(len(sites), 'site')}"),
        table(["rule", "what", "where", "why", "what to do"], rows),
        element("p", f"and {hidden:,} more kinds", class_="soft") if hidden > 0 else None,
    )


def _written(report: ModelReport) -> Markup | None:
    written = report.written
    if written is None:
        return element("p", f"Nothing was written. {report.seconds:.1f} s", class_="soft")
    return element(
        "p",
        "Written: ", name(written.path, longest=200), f", {magnitude_of_bytes(written.nbytes)}, ",
        "sha256 ", name(written.sha256), f", {report.seconds:.1f} s",
        class_="soft",
    )  # fmt: skip
