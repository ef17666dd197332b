"""Names that mean harm, everywhere a model and its path can carry one, in every format."""

from __future__ import annotations

import html.parser
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest

from normonnx import model_io

EVIL = (
    "\x1b[2J\x1b]0;owned\x07",
    "[bold red]m[/bold red][link=file:///etc/passwd]",
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></svg><svg onload=alert(1)>",
    "\n::error::owned",
    "%0A::set-output name=x::y",
    "\r##[error]owned",
    "a|b`c`](javascript:alert(1))<!--",
    "../../../etc/passwd",
    "C:\\nul",
    "]]>&amp;&#x1b;<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>",
    "\b\ufffe\uffff\x0b",
    "\u202egpj.exe\u2066",
    "{{7*7}}${7*7}%s%n",
    "x" * 5000,
)

Run = Callable[..., tuple[int, str]]


def hostile(path: Path) -> onnx.ModelProto:
    """The model at `path` with every name in it replaced by a hostile one of its own."""
    proto = onnx.load(path)
    renamed: dict[str, str] = {}

    def name(old: str) -> str:
        if old and old not in renamed:
            number = len(renamed)
            renamed[old] = f"{EVIL[number % len(EVIL)]}{number}"
        return renamed.get(old, old)

    graph = proto.graph
    for node in graph.node:
        node.name = name(f"node {node.name}")
        node.doc_string = EVIL[2]
        node.input[:] = [name(value) for value in node.input]
        node.output[:] = [name(value) for value in node.output]
    for entry in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        entry.name = name(entry.name)
        entry.doc_string = EVIL[3]
    for info in (*graph.input, *graph.output):
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = name(dim.dim_param)
    graph.name, graph.doc_string = EVIL[0], EVIL[2]
    proto.producer_name, proto.producer_version, proto.domain = EVIL[0], EVIL[2], EVIL[5]
    onnx.helper.set_model_props(proto, {text: text for text in EVIL})
    return proto


@pytest.fixture(params=["conv1d_batchnorm", "tutorial_dense_layernorm"])
def model(request: pytest.FixtureRequest, tmp_path: Path, models_dir: Path) -> Path:
    proto = hostile(models_dir / f"{request.param}.onnx")
    path = tmp_path / "\x1b[31m[red]<b>::error::|`.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def commands(model: Path, out: Path) -> dict[str, tuple[object, ...]]:
    rule = "NX001" if "conv" in model.read_bytes().decode("latin-1").lower() else "NX101"
    return {
        "optimize": ("optimize", model, "-o", out, "-vv"),
        "dry run": ("optimize", model, "--dry-run", "-v"),
        "diff": ("optimize", model, "--diff"),
        "check": ("optimize", model, "--check"),
        "inspect": ("inspect", model, "-v"),
        "verify": ("verify", model, model, "-v"),
        "explain": ("explain", rule, model),
    }


@pytest.mark.parametrize("github", [False, True])
def test_terminal(
    told: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, github: bool
) -> None:
    if github:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    for what, command in commands(model, tmp_path / "o.onnx").items():
        code, text = told(*command)
        assert code in (0, 1), (what, text)
        assert "Traceback" not in text, what
        invisible = {c for c in text if c != "\n" and unicodedata.category(c) in _INVISIBLE}
        assert not invisible, what
        for line in text.splitlines():
            assert not re.match(r"\s*(::|##\[)(?!(error|warning) title=normonnx)", line), what
    if github:
        _no_raw_html((tmp_path / "summary.md").read_text())


def test_annotations_of_a_refused_model(
    told: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is where names reach the runner's log: one line per model, whatever is in it."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for number, evil in enumerate(EVIL):
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Relu", [evil], ["y"], name=evil)],
            evil,
            [],
            [onnx.helper.make_tensor_value_info("y", 1, None)],
        )
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
        code, text = told("optimize", path)
        assert code == 3
        commands = [line for line in text.splitlines() if re.match(r"\s*(::|##\[)", line)]
        assert len(commands) == 1
        assert re.match(r"::error title=normonnx%3A [^:,]*,file=[^:,]*::[^\r\n]*$", commands[0])
        assert not {c for c in text if c != "\n" and unicodedata.category(c) in _INVISIBLE}


def test_reports(told: Run, model: Path, tmp_path: Path) -> None:
    paths = {form: tmp_path / f"r.{form}" for form in ("json", "junit", "markdown", "html")}
    reports = [part for form, path in paths.items() for part in ("--report", f"{form}={path}")]
    plan = tmp_path / "plan.json"
    code, _ = told("optimize", model, "-o", tmp_path / "o.onnx", "--plan", plan, *reports)
    assert code == 0
    texts = {form: path.read_text(encoding="utf-8") for form, path in paths.items()}
    for text in (texts["json"], plan.read_text(encoding="utf-8")):
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
        assert json.loads(text)
    root = ElementTree.fromstring(texts["junit"])
    assert root.tag == "testsuites"
    assert {element.tag for element in root.iter()} <= _JUNIT
    _no_raw_html(texts["markdown"])
    rows = [line for line in texts["markdown"].splitlines() if line.startswith("|")]
    columns = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert len(columns) <= 2, "no name starts a cell of its own"
    _harmless_page(texts["html"])
    applied = told("apply", plan, model, "-o", tmp_path / "again.onnx")
    assert applied[0] == 0
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "o.onnx").read_bytes()


def test_inspection_reports(told: Run, model: Path, tmp_path: Path) -> None:
    for form in ("json", "html"):
        path = tmp_path / f"i.{form}"
        assert told("inspect", model, "--report", f"{form}={path}")[0] == 0
        text = path.read_text(encoding="utf-8")
        if form == "json":
            assert json.loads(text)
        else:
            _harmless_page(text)


def test_files_stay_where_they_belong(told: Run, model: Path, tmp_path: Path) -> None:
    """No name in a model becomes a part of a path, weights in a data file included."""
    out = tmp_path / "out"
    out.mkdir()
    before = {path for path in tmp_path.rglob("*") if path.parent != out}
    assert told("optimize", model, "-o", out / "o.onnx")[0] == 0
    loaded = model_io.load(out / "o.onnx")
    saved = model_io.save(loaded.model, out / "external.onnx", external_data=True)
    assert saved.data is None or saved.data.parent == out
    assert {path for path in tmp_path.rglob("*") if path.parent != out} == before


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JUNIT = {"testsuites", "testsuite", "testcase", "properties", "property", "failure", "error",
          "skipped", "system-out"}  # fmt: skip


def _no_raw_html(markdown: str) -> None:
    """Nothing in it but escaped characters and code could be a tag or a link."""
    bare = re.sub(r"\\.", "", markdown)
    outside_code = re.sub(r"`[^`\n]*`", "", bare)
    assert not re.search(r"<\s*/?\s*(script|img|svg|style|!)", outside_code, re.I)
    assert "](" not in outside_code
    assert not {c for c in markdown if c != "\n" and unicodedata.category(c) in _INVISIBLE}


def _harmless_page(text: str) -> None:
    """No element, attribute or link in the page but those that the page is made of."""
    page = _Page()
    page.feed(text)
    page.close()
    assert not page.handlers
    assert all(link.startswith(("#", "https://")) for link in page.links)
    assert page.scripts <= 1
    assert not page.images
    assert "alert(1)" not in page.active


class _Page(html.parser.HTMLParser):
    """What in a page could act: scripts, handlers of events, links, images."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.active = ""
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.scripts += tag == "script"
        if tag in ("img", "iframe", "object", "embed", "foreignobject", "image", "base", "form"):
            self.images.append(tag)
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(name)
            if name in ("href", "src", "xlink:href", "action"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style"):
            self.active += data
