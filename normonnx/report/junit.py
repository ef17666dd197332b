"""JUnit XML, as GitLab, Jenkins and GitHub's viewers read it.

A suite is a model, a case is one output on one feed in one setting, or a tier that looks at the
whole model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from normonnx.judge import Verdict
from normonnx.judge.compared import OutputResult
from normonnx.judge.verdict import FeedNote, Tier
from normonnx.report.json import Reportable
from normonnx.report.judged import Judged, judged

# All that XML 1.0 does not allow, however it is written.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHOLE_MODEL = ("T0", "T1", "T2")
_SKIPPED = ("skipped", "inconclusive")


def render_junit(result: Reportable) -> str:
    """A result of ``optimize`` or ``verify`` as JUnit XML.

    Raises:
        UsageError: if it is a result of something else.
    """
    root = ElementTree.Element("testsuites", name="normonnx")
    for model in judged(result):
        root.append(_suite(model))
    _count(root, root.iter("testcase"))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def legal(text: object) -> str:
    """`text` without what XML does not allow; each such character becomes U+FFFD."""
    return _ILLEGAL.sub("\ufffd", str(text))


def _suite(model: Judged) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=legal(model.name), time=f"{model.seconds:.3f}")
    verdict = model.verdict
    if verdict is not None:
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in _facts(model, verdict):
            ElementTree.SubElement(properties, "property", name=legal(name), value=legal(value))
        for tier in verdict.tiers:
            if tier.code in _WHOLE_MODEL or tier.status == "inconclusive":
                suite.append(_tier_case(model, tier))
        feeds = {feed.draw: feed for feed in verdict.feeds}
        for result in verdict.outputs:
            suite.append(_output_case(model, verdict, result, feeds.get(result.draw)))
    else:
        suite.append(_model_case(model))
    if verdict is not None and verdict.divergence is not None:
        ElementTree.SubElement(suite, "system-out").text = legal(verdict.divergence.sentence())
    _count(suite, suite.iter("testcase"))
    return suite


def _facts(model: Judged, verdict: Verdict) -> Iterable[tuple[str, object]]:
    yield "status", model.status
    yield "grade", verdict.grade
    yield "providers", ", ".join(verdict.providers)
    yield "seed", verdict.seed
    yield from verdict.versions.items() if verdict.versions else ()
    if model.report is not None and model.report.written is not None:
        yield "sha256", model.report.written.sha256


def _tier_case(model: Judged, tier: Tier) -> ElementTree.Element:
    case = _case(model, f"{tier.code} {tier.title}")
    if tier.status == "fail":
        ElementTree.SubElement(case, "failure", type=tier.title, message=legal(tier.message))
    elif tier.status in _SKIPPED:
        ElementTree.SubElement(case, "skipped", message=legal(tier.message))
    return case


def _output_case(
    model: Judged, verdict: Verdict, result: OutputResult, feed: FeedNote | None
) -> ElementTree.Element:
    parts = [result.output]
    if feed is not None:
        parts += [f"{name}={'x'.join(map(str, s)) or '1'}" for name, s in feed.shapes.items()]
        parts.append(feed.title)
    parts += [f"feed {result.draw}", f"seed {verdict.seed}", result.setting]
    case = _case(model, " | ".join(parts))
    if not result.passed:
        failure = ElementTree.SubElement(
            case, "failure", type=result.flaw, message=legal(result.message)
        )
        metrics = result.metrics
        if metrics is not None and metrics.worst is not None:
            worst = metrics.worst
            failure.text = legal(
                f"{result.message}\nat {list(worst.index)}: was {worst.original:.9g}, is "
                f"{worst.optimized:.9g}, float64 {worst.truth:.9g}\nmax abs {metrics.max_abs:.3g}, "
                f"max rel {metrics.max_rel:.3g}, SQNR {metrics.sqnr_db:.1f} dB, "
                f"cosine {metrics.cosine:.6f}, {metrics.ratio:.3g} times as far from "
                "float64 as the original on this feed"
            )
    return case


def _model_case(model: Judged) -> ElementTree.Element:
    """The one case of a model without a verdict."""
    case = _case(model, "optimize")
    if model.status == "unverified":
        ElementTree.SubElement(case, "skipped", message="not judged")
    elif model.status != "pass":
        ElementTree.SubElement(case, "error", type=model.status, message=legal(model.trouble))
    return case


def _case(model: Judged, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=legal(model.name), name=legal(name))


def _count(element: ElementTree.Element, cases: Iterable[ElementTree.Element]) -> None:
    found = list(cases)
    element.set("tests", str(len(found)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in found)))
