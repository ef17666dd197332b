"""Every example of README and docs runs, prints what the page says, and the pages build."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from normonnx.cli import cli, main
from normonnx.errors import EnvironmentLacksError

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_BLOCK = re.compile(r"(<!-- measured -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBERS = re.compile(r"\b[0-9a-f]{12}\b|\d[\d,.]*(e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: what it is written in.
        text: what it says.
        measured: whether it holds measurements, which differ each time.
    """

    language: str
    text: str
    measured: bool


def blocks(page: Path) -> list[Block]:
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, bool(mark)) for mark, language, text in found]


def has_examples(page: Path) -> bool:
    text = page.read_text(encoding="utf-8")
    return "```python" in text or re.search(r"^normonnx ", text, re.MULTILINE) is not None


def shape_of(line: str) -> str:
    """A line without its numbers, which depend on the machine."""
    return _NUMBERS.sub("#", line).rstrip()


def run_shell(text: str) -> str:
    """Run the lines that call normonnx, in this process; what a terminal shows of them."""
    printed = io.StringIO()
    for line in text.replace("\\\n", " ").splitlines():
        # What is before && is about installing.
        command = line.rpartition("&&")[2].strip()
        if not command.startswith("normonnx "):
            continue
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            pytest.raises(SystemExit) as ended,
        ):
            main(shlex.split(command)[1:])
        assert not ended.value.code, f"{command}\n{printed.getvalue()}"
    return printed.getvalue()


def needs_torch(block: Block) -> bool:
    return block.language == "python" and "import torch" in block.text


def run_python(text: str, names: dict[str, object]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(text, "<example>", "exec"), names)


@pytest.fixture
def house(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory like a checkout, with a model under the name the pages use."""
    shutil.copytree(models_dir, tmp_path / "models", ignore=shutil.ignore_patterns("*.py"))
    shutil.copy(models_dir / "conformer_batchnorm_layernorm.onnx", tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_examples(page)], ids=lambda page: page.name
)
def test_examples_run_and_print_what_the_page_says(page: Path, house: Path) -> None:
    names: dict[str, object] = {}
    printed: str | None = None
    for block in blocks(page):
        if block.language == "text" and printed and not block.measured:
            expected = [shape_of(line) for line in block.text.splitlines()]
            assert [shape_of(line) for line in printed.splitlines()] == expected
        printed = None
        if block.language == "sh":
            printed = run_shell(block.text)
        elif block.language == "python" and not needs_torch(block):
            try:
                run_python(block.text, names)
            except EnvironmentLacksError as error:
                pytest.skip(f"this machine lacks what the page is about: {error.message}")


def test_examples_with_torch(house: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed here")
    found = [block for page in PAGES for block in blocks(page) if needs_torch(block)]
    assert found
    for block in found:
        run_python("import normonnx\n" + block.text, {})


def test_pages_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rules = (tmp_path / "site" / "rules" / "index.html").read_text(encoding="utf-8")
    assert 'id="nx101"' in rules
    commands = (tmp_path / "site" / "commands" / "index.html").read_text(encoding="utf-8")
    for name in cli.commands:
        assert f'id="{name}"' in commands
    picture = (tmp_path / "site" / "images" / "fuse_before.svg").read_text(encoding="utf-8")
    assert "ReduceMean" in picture


@pytest.mark.parametrize("name", cli.commands)
def test_help_tells_every_argument_and_option(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert not ended.value.code
    out = capsys.readouterr().out
    command = cli.commands[name]
    first, *_ = (command.help or "").splitlines()
    assert out.splitlines()[0].startswith(f"Usage: normonnx {name}")
    assert first in out
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            for option in parameter.opts:
                assert option in out
        else:
            assert parameter.make_metavar(click.Context(command)).split(".")[0].strip("[]") in out
    assert max(map(len, out.splitlines())) <= 100
