"""A real browser, where there is one: what a page shows and how wide it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--allow-file-access-from-files", "--virtual-time-budget=4000",
)  # fmt: skip

_PROBE = """<!doctype html><meta charset="utf-8"><body><script>
const found = [];
const widths = %s;
let left = widths.length;
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900; frame.src = %s;
  frame.onload = () => {
    const page = frame.contentDocument;
    found.push({
      width, scroll: page.documentElement.scrollWidth, text: page.body.innerText,
      scripts: page.scripts.length,
      boxes: [...page.querySelectorAll("svg")]
        .filter(picture => picture.getBoundingClientRect().width > 0).length,
      ink: getComputedStyle(page.body).color, paper: getComputedStyle(page.body).backgroundColor,
    });
    if (--left === 0) document.body.innerHTML = "<pre id=found></pre>",
      document.getElementById("found").textContent = JSON.stringify(found);
  };
  document.body.append(frame);
}
</script>"""


@dataclass(frozen=True)
class Seen:
    """A page in a window of some width.

    Attributes:
        width: of the window.
        scroll: how wide the page wants to be.
        text: what can be read.
        scripts: how many scripts run.
        boxes: how many pictures can be seen.
        ink: colour of the text.
        paper: colour of the background.
    """

    width: int
    scroll: int
    text: str
    scripts: int
    boxes: int
    ink: str
    paper: str


def browser() -> str:
    """The browser, or a reason to skip the test."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine")
    return found


def look(page: Path, directory: Path, *widths: int, dark: bool = False) -> list[Seen]:
    """What a browser makes of a page in windows of these widths."""
    program = browser()
    probe = directory / "probe.html"
    probe.write_text(_PROBE % (json.dumps(widths), json.dumps(page.as_uri())), encoding="utf-8")
    scheme = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    done = subprocess.run(
        [program, *_FLAGS, *scheme, f"--user-data-dir={directory / 'profile'}", "--dump-dom",
         probe.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stderr[-2000:]
    found = [Seen(**entry) for entry in json.loads(unescape(match[1]))]
    return sorted(found, key=lambda seen: seen.width)
