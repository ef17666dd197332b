"""Pages and pictures of the documentation that are made from the program itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from normonnx.api import optimize
from normonnx.cli import cli
from normonnx.drawing import Drawing
from normonnx.error_pages import ERRORS
from normonnx.report.html.graph import draw
from normonnx.report.rule_pages import errors_markdown, rules_markdown
from normonnx.rules import RULES

_MODEL = Path(__file__).parent.parent / "models" / "conformer_batchnorm_layernorm.onnx"
_NAMES = {"NX001": "fold", "NX101": "fuse"}
_STYLE = """<style>
text{font:13px system-ui,sans-serif;fill:#1c2330}.small{font-size:10.5px;fill:#5b6577}
.t{font-weight:600}.box{fill:#eaf0fb;stroke:#3566c8}.new .box{fill:#e3f5ee;stroke:#0f8a6d}
.value{fill:#fff;stroke:#d9dee7}.edge{fill:none;stroke:#5b6577;stroke-width:1.3}.head{fill:#5b6577}
</style>"""

_OUTWARD = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)\)")

_ORDER = (
    ("Start here", "index.md"),
    ("Tutorial", "tutorial.md"),
    ("How the engines work", "engines.md"),
    ("Rules", "rules.md"),
    ("Commands", "commands.md"),
    ("Errors", "errors.md"),
    ("Settings and completion", "settings.md"),
    ("Python", "python.md"),
    ("Targets", "targets.md"),
    ("Many models", "fleets.md"),
    ("In continuous integration", "ci.md"),
    ("Custom operators", "custom_operators.md"),
    ("Limits", "limits.md"),
    ("How it is built", "architecture.md"),
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The pages that are there, in the order to read them."""
    directory = Path(config.docs_dir)
    made = {"rules.md", "commands.md", "errors.md"}
    config.nav = [
        {title: page} for title, page in _ORDER if page in made or (directory / page).exists()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of rules and commands, and the pictures of two rewrites."""
    files.append(File.generated(config, "rules.md", content=rules_markdown(RULES.values())))
    files.append(File.generated(config, "commands.md", content=commands_markdown()))
    files.append(File.generated(config, "errors.md", content=errors_markdown(ERRORS.values())))
    for picture in optimize(_MODEL, verify=False).report.pictures:
        name = _NAMES[picture.rule]
        for side, drawing in (("before", picture.before), ("after", picture.after)):
            content = _picture(drawing, f"{picture.summary}, {side}", is_new=side == "after")
            files.append(File.generated(config, f"images/{name}_{side}.svg", content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links out of docs/ work where the repository is read; on the site the path has to do."""
    return _OUTWARD.sub(r"\1 (`\2` in the repository)", markdown)


def commands_markdown() -> str:
    """What ``--help`` prints, command by command."""
    parts = ["# Commands", _help(cli, "normonnx")]
    for name, command in cli.commands.items():
        parts += [f"## {name}", _help(command, f"normonnx {name}")]
    return "\n\n".join(parts) + "\n"


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, max_content_width=96, terminal_width=96)
    return f"```text\n{command.get_help(context)}\n```"


def _picture(drawing: Drawing, title: str, *, is_new: bool) -> str:
    svg = draw(drawing, title, is_new=is_new)
    head, _, rest = svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{_STYLE}{rest}'
