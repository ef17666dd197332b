"""The HTML report: complete, self-contained, small, safe, and right in a real browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import hypothesis
import msgspec
import numpy as np
import pytest
from chromium import look
from hypothesis import strategies as st
from results import miss, report, rewrite, verdict

import normonnx
from normonnx.benching.options import Setting
from normonnx.benching.result import BenchReport, Comparison, Measured, OperatorTime
from normonnx.benching.statistics import ratio, spread
from normonnx.cli import main
from normonnx.drawing import Box, Drawing, Picture
from normonnx.journal import NearMiss
from normonnx.report import Reverted, RunReport, Verification
from normonnx.report.html import render_html as render
from normonnx.report.html.charts import histogram
from normonnx.report.html.graph import draw
from normonnx.report.html.markup import Markup, element, joined

_VOID = {"meta", "br", "hr", "col", "img", "link", "input"}


class Reader(HTMLParser):
    """Tags in the order they come, and the text between them; complains of what does not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def picture(name: str = "conv_0") -> Picture:
    before = Drawing(
        (Box("x", kind="value"), Box("Conv", name, "8×3×3×3"), Box("BatchNormalization", "bn")),
        ((0, 1), (1, 2)),
    )
    after = Drawing((Box("x", kind="value"), Box("Conv", name)), ((0, 1),))
    return Picture("NX001", "Conv·BatchNormalization → Conv", 53, "bn_0", before, after)


def timing() -> BenchReport:
    random = np.random.default_rng(0)
    old, new = (list(scale * (1 + random.exponential(0.1, 50))) for scale in (2e-3, 1e-3))
    models = tuple(
        Measured(name, spread(times), tuple(times), 3e-3, 2e-2, 9 << 20)
        for name, times in (("a.onnx", old), ("b.onnx", new))
    )
    profile = (OperatorTime("BatchNormalization", (1e-3, 53), (0.0, 0)),)
    comparison = Comparison(Setting(), models, (ratio(new, old),), (profile,))
    return BenchReport((comparison,), {"x": (1, 3)}, {"onnxruntime": "1"}, "a machine")


def full() -> RunReport:
    one = report(
        pictures=(picture(),),
        bench=timing(),
        reverted=(Reverted(rewrite(9), "it was wrong"),),
        notes=("opset 13 → 17",),
    )
    return RunReport((one,), command=("optimize", "resnet50.onnx"), versions={"onnx": "1.23"})


def test_everything_is_told() -> None:
    page = Reader(render(full()))
    for part in (
        "PASS 1 model, 53 rewrites, distance to float64 0.91x",
        "resnet50.onnx", "176 → 123", "97.5 MiB → 97.3 MiB",
        "fold-into-convolution", "Conv·BatchNormalization → Conv", "53 times, here at",
        "before: 2 nodes", "after: 1 node", "W′[c] = a[c]·W[c]", "it was wrong", "opset 13 → 17",
        "all 3 operators", "logits: 0.91×", "0.91×", "faster", "with 95 % confidence",
        "What was left alone: 2 sites", "is also read by", "sha256", "4f1c9a77b2e0",
        "normonnx optimize resnet50.onnx", "onnx 1.23", "where the time goes",
    ):  # fmt: skip
        assert part in page.text, part


def test_nothing_is_fetched_from_anywhere() -> None:
    page = render(full())
    reader = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(reader.tags)
    names = {name for name, _ in reader.attributes}
    assert not {"src", "href", "srcset", "style", "action"} & names
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in page
    assert "http" not in page
    assert "@import" not in page


HOSTILE = '</code><script>alert(1)</script>"><img src=x onerror=alert(1)>\x1b[2J\u202e&amp;'


def test_names_are_text_whatever_they_are() -> None:
    change = msgspec.structs.replace(rewrite(), site=HOSTILE, summary=HOSTILE)
    near = NearMiss("k", "NX001", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    hostile = report(
        name=HOSTILE, rewrites=(change,), near_misses=(near,), notes=(HOSTILE,),
        pictures=(msgspec.structs.replace(picture(HOSTILE), site=HOSTILE, summary=HOSTILE),),
        reverted=(Reverted(change, HOSTILE),),
    )  # fmt: skip
    failed = report(status="error", error=HOSTILE, error_where=HOSTILE, error_hint=HOSTILE)
    page = render(RunReport((hostile, failed), command=(HOSTILE,), versions={HOSTILE: HOSTILE}))
    reader = Reader(page)
    assert not {"script", "img"} & set(reader.tags)
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    assert "<script>alert(1)</script>" in reader.text
    assert not re.search("[\x1b\u202e]", page)


def test_only_markup_is_markup() -> None:
    assert element("p", "<b>", title='"<') == '<p title="&quot;&lt;">&lt;b&gt;</p>'
    assert joined(Markup("<i>"), "<i>", None) == "<i>&lt;i&gt;"
    assert element("rect", x=1.5, y=2.0, class_=None, hidden=True) == (
        '<rect x="1.5" y="2" hidden></rect>'
    )


@pytest.mark.parametrize("models", [40, 400, 4000])
def test_a_page_stays_below_half_a_megabyte(models: int) -> None:
    one = report(
        pictures=tuple(picture(f"c{n}" * 30) for n in range(12)),
        near_misses=tuple(miss(n, f"reason {n} '{{0}}'" * 8) for n in range(60)),
        verdict=verdict(),
    )
    page = render(RunReport((one,) * models))
    assert len(page.encode()) < 500_000
    Reader(page)


def test_refused_and_unjudged_models() -> None:
    refused = report(status="refused", before=None, error="not an ONNX model", error_code="NX-E10",
                     error_hint="it is a zip")  # fmt: skip
    plain = report(status="unverified", verdict=None, written=None, rewrites=(), near_misses=())
    text = Reader(render(RunReport((refused, plain)))).text
    for part in ("error[NX-E10]: ", "not an ONNX model", "it is a zip", "There was nothing",
                 "Nothing was written", "UNVERIFIED"):  # fmt: skip
        assert part in text


def test_other_results(models_dir: Path) -> None:
    inspection = normonnx.inspect(models_dir / "conformer_batchnorm_layernorm.onnx")
    text = Reader(render(inspection)).text
    assert "layers.0/norm_att" in text
    assert "fuses into LayerNormalization" in text
    command = ("verify", "a.onnx", "b.onnx")
    judged = Verification("a.onnx", "b.onnx", verdict("fail"), command=command)
    text = Reader(render(judged)).text
    assert "normonnx verify a.onnx b.onnx" in text
    assert "'logits' is 6 times farther from float64" in text
    assert "FASTER" in Reader(render(timing())).text


def test_results_show_themselves(models_dir: Path) -> None:
    path = models_dir / "tutorial_dense_batchnorm.onnx"
    result, found = normonnx.optimize(path, verify=False), normonnx.inspect(path)
    assert (
        repr(result) == "<Optimized tutorial_dense_batchnorm.onnx: UNVERIFIED 1 model, 6 rewrites>"
    )
    assert repr(result.report) == "<ModelReport: UNVERIFIED 1 model, 6 rewrites>"
    assert repr(found) == f"<Inspection: {found.line().removeprefix('normonnx: ')}>"
    assert repr(timing()).startswith("<BenchReport: FASTER 0.")
    for shown in (result, result.report, found, timing(), full()):
        frame = Reader(shown._repr_html_())
        assert frame.tags == ["iframe"]
        page = dict(frame.attributes)["srcdoc"]
        assert page is not None
        assert "</html>" in page
        Reader(page)


def test_histogram_counts_every_class() -> None:
    text = Reader(histogram([90, 0, 9, 1], (0, 1, 2, 4, 8), "differences")).text
    assert text == "differences90 of 100 elements90%00 of 100 elements19 of 100 elements9%≤2" \
        "1 of 100 elements1%≤4"  # fmt: skip


@st.composite
def drawings(draws: st.DrawFn) -> Drawing:
    count = draws(st.integers(1, 15))
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    edges = draws(st.lists(st.sampled_from(pairs), unique=True, max_size=24)) if pairs else []
    return Drawing(tuple(Box(f"Op{n}", "n" * draws(st.integers(0, 40))) for n in range(count)),
                   tuple(edges))  # fmt: skip


@hypothesis.given(drawings())
@hypothesis.settings(max_examples=60)
def test_boxes_never_overlap_and_stay_inside(drawing: Drawing) -> None:
    svg = draw(drawing, "a graph", is_new=False)
    width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
    rects = [
        tuple(float(v) for v in found)
        for found in re.findall(
            r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"', svg
        )
    ]
    assert len(rects) == len(drawing.boxes)
    assert svg.count('class="edge"') == len(drawing.edges)
    for index, (x, y, w, h) in enumerate(rects):
        assert x >= 0
        assert x + w <= width + 1
        assert y >= 0
        assert y + h <= height + 1
        for x2, y2, w2, h2 in rects[:index]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_edges_go_down() -> None:
    drawing = Drawing(tuple(Box(f"Op{n}") for n in range(4)), ((0, 1), (1, 2), (0, 2), (2, 3)))
    svg = draw(drawing, "a graph", is_new=True)
    tops = [float(y) for y in re.findall(r'<rect x="[\d.]+" y="([\d.]+)"', svg)]
    assert tops == sorted(tops)
    assert len(set(tops)) == 4


def test_pictures_of_real_rewrites(models_dir: Path) -> None:
    result = normonnx.optimize(models_dir / "conformer_batchnorm_layernorm.onnx", verify=False)
    by_rule = {picture.rule: picture for picture in result.report.pictures}
    fold, fuse = by_rule["NX001"], by_rule["NX101"]
    assert [box.title for box in fold.before.boxes if box.kind == "node"].count("Conv") == 1
    assert (fold.before.nodes, fold.after.nodes, fold.count) == (2, 1, 5)
    assert (fuse.before.nodes, fuse.after.nodes, fuse.count) == (9, 1, 7)
    titles = [box.title for box in fuse.before.boxes]
    assert sorted(titles.index(op) for op in ("Sqrt", "Div", "Sub")) != []
    edges = {(fuse.before.boxes[a].title, fuse.before.boxes[b].title) for a, b in fuse.before.edges}
    assert {("Sub", "Pow"), ("Sqrt", "Div"), ("Sub", "Div"), ("Div", "Mul")} <= edges


def test_in_a_browser(models_dir: Path, tmp_path: Path) -> None:
    """Text is there, pictures are seen, nothing is wider than the window, by day and by night."""
    model, page = models_dir / "conformer_batchnorm_layernorm.onnx", tmp_path / "report.html"
    with pytest.raises(SystemExit) as ended:
        main([
            "optimize", str(model), "-o", str(tmp_path / "o.onnx"), "-q", "--report",
            f"html={page}",
        ])  # fmt: skip
    assert ended.value.code == 0
    assert page.stat().st_size < 500_000
    seen = look(page, tmp_path, 400, 1280)
    assert [one.width for one in seen] == [400, 1280]
    for one in seen:
        assert one.scroll <= one.width, "no horizontal overflow"
        assert one.scripts == 0
        assert one.boxes > 8
        for part in (
            "PASS", "conformer_batchnorm_layernorm.onnx", "What was rewritten",
            "LayerNormalization", "before: 9 nodes", "Parity", "To reproduce",
        ):  # fmt: skip
            assert part in one.text
    dark = look(page, tmp_path, 1280, dark=True)[0]
    assert seen[1].paper == "rgb(255, 255, 255)"
    assert dark.paper == "rgb(18, 22, 29)"
    assert dark.ink != seen[1].ink


def test_long_names_do_not_widen_the_page(tmp_path: Path) -> None:
    long = "model/" + "a" * 300
    change = msgspec.structs.replace(rewrite(), site=long, summary=f"{long} → {long}")
    near = NearMiss("k", "NX001", long, long, f"'{long}' is read by '{long}'", long)
    wide = report(
        name=long, rewrites=(change,), near_misses=(near,), bench=timing(), pictures=(
            msgspec.structs.replace(picture(long), site=long),
        ),
    )  # fmt: skip
    page = tmp_path / "wide.html"
    page.write_text(render(RunReport((wide,), command=(long,))), encoding="utf-8")
    for one in look(page, tmp_path, 400, 1280):
        assert one.scroll <= one.width
