"""Start-up and memory of one model, in a process that does nothing else.

``python -m normonnx.benching.child MODEL FEEDS SETTING LIBRARIES``, the last two as JSON, prints a
line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from normonnx.benching.options import Registered, Setting
from normonnx.errors import InternalError

_RUNS = 3
_TIMEOUT = 600


class Start(Struct, frozen=True):
    """What starting a model takes.

    Attributes:
        session: seconds to create the session.
        first_run: seconds of the first run.
        peak_bytes: memory beyond what the runtime itself takes.
    """

    session: float
    first_run: float
    peak_bytes: int


def start_in_child(model: Path, feeds: Path, setting: Setting, registered: Registered) -> Start:
    """Measure in a process of its own.

    Raises:
        InternalError: the process failed.
    """
    told = (msgspec.json.encode(one).decode() for one in (setting, registered))
    arguments = [str(model), str(feeds), *told]
    done = subprocess.run(
        [sys.executable, "-m", "normonnx.benching.child", *arguments],
        capture_output=True, text=True, check=False, timeout=_TIMEOUT,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InternalError(f"the process that measured memory failed: {last[:300]}")
    return Start(**json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> None:
    """Measure here, and print."""
    from normonnx.benching.runner import needed, open_session, peak_bytes
    from normonnx.runtime.element_types import prepared
    from normonnx.runtime.wire import decode

    model, feeds_file, *told = arguments
    setting = msgspec.json.decode(told[0], type=Setting)
    registered = msgspec.json.decode(told[1], type=Registered)
    feeds = decode(Path(feeds_file).read_bytes())
    bare = peak_bytes()
    begin = time.perf_counter()
    session = open_session(Path(model), setting, registered)
    created = time.perf_counter()
    run = prepared(session, needed(session, feeds))
    run()
    ran = time.perf_counter()
    for _ in range(_RUNS):
        run()
    found = {
        "session": created - begin,
        "first_run": ran - created,
        "peak_bytes": peak_bytes() - bare,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
