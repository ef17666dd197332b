"""Whatever happens to a process that saves, there is the old model or the new one, whole."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from onnx import numpy_helper
from small_models import model, weight

from normonnx import model_io
from normonnx.model_io import stale

_KILLS = 150
_COLUMNS = (64, 96)

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def is_whole(path: Path) -> bool:
    tensor = model_io.load(path).model.graph.initializers["w"].const_value
    return np.array_equal(
        tensor.numpy(), numpy_helper.to_array(weight("w", 8, int(tensor.shape[1])))
    )


def two_models(path: Path, *, external_data: bool) -> Callable[[], None]:
    """What saves two models over one another."""
    models = [model_io.load(model(weight("w", 8, columns))).model for columns in _COLUMNS]

    def save() -> None:
        for candidate in models:
            model_io.save(candidate, path, external_data=external_data)

    return save


def steps_of(action: Callable[[], None]) -> int:
    """How many functions are called and left in the course of an action."""
    steps = itertools.count()
    sys.setprofile(lambda *_: next(steps) and None)
    try:
        action()
    finally:
        sys.setprofile(None)
    return next(steps)


def killed_at(step: int, action: Callable[[], None]) -> bool:
    """Whether a process that is killed at a step of an action got as far as that."""
    child = os.fork()
    if child == 0:
        left = itertools.count(step, -1)
        sys.setprofile(lambda *_: next(left) or os.kill(os.getpid(), signal.SIGKILL))
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@needs_fork
@pytest.mark.parametrize("external_data", [False, True])
def test_killed_at_any_instant(
    tmp_path: Path, external_data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 150 of its steps each: the model is whole, and the next save clears up."""
    path = tmp_path / "m.onnx"
    first = model_io.load(model(weight("w", 8, 64))).model
    model_io.save(first, path, external_data=external_data)
    save = two_models(path, external_data=external_data)
    save()
    steps = np.linspace(0, steps_of(save), _KILLS, endpoint=False, dtype=int)
    killed, left = 0, 0
    for step in steps:
        killed += killed_at(int(step), save)
        assert is_whole(path)
        left += any(name.endswith(".tmp") for name in names(tmp_path))
    assert killed > 0.9 * _KILLS
    assert left > 0, "some were killed while they wrote"
    monkeypatch.setattr(stale, "_cleaned", set())
    for columns in _COLUMNS:  # data that was published before a kill is what the next save takes
        model_io.save(
            model_io.load(model(weight("w", 8, columns))).model, path, external_data=external_data
        )
    saved = model_io.save(first, path, external_data=external_data)
    assert names(tmp_path) == sorted({"m.onnx", saved.data.name if saved.data else "m.onnx"})


def saving_for_ever(path: Path, *, external_data: bool) -> tuple[int, BinaryIO]:
    """A process that saves two models over one another: its number, and a byte for each time."""
    save = two_models(path, external_data=external_data)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            while True:
                save()
                os.write(theirs, b".")
        finally:
            os._exit(1)
    os.close(theirs)
    return child, os.fdopen(ours, "rb")


@needs_fork
@pytest.mark.parametrize("external_data", [False, True])
def test_two_processes_save_to_one_destination(tmp_path: Path, external_data: bool) -> None:
    path = tmp_path / "m.onnx"
    children = [saving_for_ever(path, external_data=external_data) for _ in range(2)]
    try:
        for _, times in children:
            assert times.read(1), "it has saved"
        if not external_data:  # a reader of two files may come between the two
            assert all(is_whole(path) for _ in range(100))
        for _, times in children:
            assert len(times.read(20)) == 20, "and goes on saving"
    finally:
        for child, times in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            times.close()
    assert is_whole(path)


def test_files_in_use_and_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "_cleaned", set())
    in_use = tmp_path / ".normonnx-0123456789abcdef.tmp"
    others = [".normonnx-x.tmp", ".normonnx-0123456789abcdef.tmp.bak", "normonnx.tmp"]
    for name in (in_use.name, ".normonnx-fedcba9876543210.tmp", *others):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".normonnx-aaaaaaaaaaaaaaaa.tmp").symlink_to(tmp_path / "normonnx.tmp")
    (tmp_path / ".normonnx-bbbbbbbbbbbbbbbb.tmp").mkdir()
    os.mkfifo(tmp_path / ".normonnx-cccccccccccccccc.tmp")
    with in_use.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        model_io.write_bytes(tmp_path / "report.json", b"{}")
    assert names(tmp_path) == sorted(
        [
            *others,
            in_use.name,
            ".normonnx-aaaaaaaaaaaaaaaa.tmp",
            ".normonnx-bbbbbbbbbbbbbbbb.tmp",
            ".normonnx-cccccccccccccccc.tmp",
            "report.json",
        ]
    )


_SAVE_BOTH = """
import sys
from pathlib import Path
import numpy as np
from onnx import numpy_helper
from small_models import model
from normonnx import model_io
from normonnx.errors import WriteError
{before}
big = numpy_helper.from_array(np.random.default_rng(1).random((8, 1 << 17), np.float32), "w")
loaded = model_io.load(model(big))
for external_data in (False, True):
    try:
        model_io.save(loaded.model, Path(sys.argv[1]) / "m.onnx", external_data=external_data)
    except WriteError as error:
        print(error.message)
"""

_SMALL_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
"""


def saving(directory: Path, *, before: str = "", inside: tuple[str, ...] = ()) -> str:
    """What a process says that saves four megabytes into a directory, twice."""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    program = [sys.executable, "-c", _SAVE_BOTH.format(before=before), str(directory)]
    done = subprocess.run(
        [*inside, *program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_file_that_may_not_grow(tmp_path: Path) -> None:
    """A file size limit makes the system itself fail the write half-way."""
    said = saving(tmp_path, before=_SMALL_FILES)
    assert said.count("cannot write 'm.onnx': File too large") == 2
    assert names(tmp_path) == []


_MOUNTS = {
    "full": ("size=1m", "true", "No space left on device"),
    "read-only": ("size=64m", "mount -o remount,ro tmpfs $0", "Read-only file system"),
}


def mounted(directory: Path, options: str, then: str, *, command: str) -> tuple[str, ...]:
    """A command in a name space of its own, where a small file system lies on the directory."""
    script = (
        f"mount -t tmpfs -o {options} tmpfs $0 && cp $0.old $0/m.onnx && {then} && {command}; "
        "code=$?; ls -A $0 >&2; cmp $0.old $0/m.onnx >&2 || exit 9; exit $code"
    )
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(directory))


def can_mount(directory: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    tried = subprocess.run(
        [*command, "mount -t tmpfs tmpfs $0", str(directory)], capture_output=True, check=False
    )
    return tried.returncode == 0


@pytest.mark.parametrize("kind", _MOUNTS)
def test_disk_that_takes_nothing(tmp_path: Path, kind: str) -> None:
    """A real file system that is full or read-only: the old model stays, byte for byte."""
    if not can_mount(tmp_path):
        pytest.skip("file systems cannot be mounted here")
    options, then, sentence = _MOUNTS[kind]
    directory = tmp_path / "disk"
    directory.mkdir()
    Path(f"{directory}.old").write_bytes(model().SerializeToString())
    said = saving(directory, inside=mounted(directory, options, then, command='"$@"'))
    assert said.count(sentence) == 2
