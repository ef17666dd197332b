"""The tests of a mutant, in a fork of a process that has collected them all."""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.abc import SourceLoader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol

from benchmarks.mutants import Mutant, function_in

Verdict = str
TIME = "out of time"
_BROKEN = 4
_BY_STATUS: dict[int, Verdict] = {
    0: "survived", 1: "killed", 2: TIME, 3: "not executed", _BROKEN: "could not be run",
}  # fmt: skip
_LEAST_SECONDS, _TIMES = 30, 10
"""A mutant may take so much processor time, and so many times that of its tests."""
_MEMORY = 8 << 30


class Runner:
    """A plugin of pytest whose loop runs mutants.

    Args:
        root: of the repository.
        work: a folder for what was measured and what is done.
        options: of the command line.
        mutants: to run.
        alone: whether there is one only, that was imported with the fault in it.
    """

    def __init__(
        self,
        root: Path,
        work: Path,
        options: argparse.Namespace,
        mutants: Sequence[Mutant],
        *,
        alone: bool = False,
    ) -> None:
        self.root, self.work, self.options = root, work, options
        self.mutants, self.alone = mutants, alone
        self._journal = work / "verdicts.jsonl"
        self.verdicts: dict[str, Verdict] = {}
        if self._journal.exists():
            lines = map(json.loads, self._journal.read_text().splitlines())
            self.verdicts = {line["key"]: line["verdict"] for line in lines}
        self._items: dict[str, pytest.Item] = {}
        self._measured = Measured({}, {})

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        if self.alone:
            self._measured = Measured.read(self.work / "measured.json")
            os._exit(self._fate(self.mutants[0], exchanged=True))
        if not (self.work / "measured.json").exists():
            self._measure()
        self._measured = Measured.read(self.work / "measured.json")
        waiting = [mutant for mutant in self.mutants if mutant.key not in self.verdicts]
        print(f"{len(waiting)} of {len(self.mutants)} mutants to run", flush=True)
        begun, done = time.monotonic(), 0
        running: dict[int, Mutant] = {}
        while waiting or running:
            while waiting and len(running) < self.options.jobs:
                mutant = waiting.pop(0)
                running[_forked(partial(self._run, mutant))] = mutant
            child, status = os.wait()
            mutant = running.pop(child)
            shutil.rmtree(self.work / str(child), ignore_errors=True)
            # Who ended it by a signal has crashed, and a test that crashes has failed.
            self._note(mutant, _BY_STATUS.get(os.waitstatus_to_exitcode(status), "killed"))
            done += 1
            if done % 25 == 0:
                print(f"{done} after {time.monotonic() - begun:.0f} s", flush=True)
        return True

    def _note(self, mutant: Mutant, verdict: Verdict) -> None:
        self.verdicts[mutant.key] = verdict
        with self._journal.open("a") as file:
            file.write(json.dumps({"key": mutant.key, "verdict": verdict}) + "\n")

    def _measure(self) -> None:
        """Which lines each test executes, and its time; those that fail are left out."""
        by_file: dict[str, list[pytest.Item]] = defaultdict(list)
        for name, item in self._items.items():
            by_file[name.split("::")[0]].append(item)
        paths = self._kept(by_file)
        missing = [file for file in by_file if not paths[file].exists()]
        print(f"measuring {sum(len(by_file[file]) for file in missing)} tests", flush=True)
        parts: list[list[str]] = [[] for _ in range(self.options.jobs)]
        for file in sorted(missing, key=lambda file: len(by_file[file]), reverse=True):
            min(parts, key=lambda part: sum(len(by_file[file]) for file in part)).append(file)
        for part in parts:
            items = [(paths[file], by_file[file]) for file in part]
            _forked(partial(self._measure_part, items))
        for _ in parts:
            os.wait()
        Measured.together(map(Measured.read, paths.values())).write(self.work / "measured.json")

    def _kept(self, files: Iterable[str]) -> dict[str, Path]:
        """Where what is measured of a file of tests is kept, as long as it and the code are so."""
        folder = self.work.parent / "measured"
        folder.mkdir(exist_ok=True)
        others = [p for p in self.root.glob("tests/**/*.py") if not p.name.startswith("test_")]
        code = sorted([*self.root.glob("normonnx/**/*.py"), *others])
        shared = hash_of(repr(sorted(self.options.rooms)), code, self.root)
        return {
            file: folder / f"{hash_of(shared, [self.root / file], self.root)}.json"
            for file in files
        }

    def _measure_part(self, files: list[tuple[Path, list[pytest.Item]]]) -> int:
        for path, items in files:
            if not path.exists():  # as another run may have measured it
                self._measure_file(path, items)
        return 0

    def _measure_file(self, path: Path, items: list[pytest.Item]) -> None:
        own = [str(self.root / "normonnx" / room / "*") for room in self.options.rooms]
        recorder = coverage.Coverage(data_file=None, config_file=False, include=own)
        seconds: dict[str, float] = {}
        self._own_folder(items)
        recorder.start()
        for item, following in zip(items, [*items[1:], None], strict=True):
            recorder.switch_context(item.nodeid)
            begun = time.process_time()
            reports = runtestprotocol(item, log=False, nextitem=following)
            if all(report.passed for report in reports):
                seconds[item.nodeid] = time.process_time() - begun
        recorder.stop()
        data = recorder.get_data()
        executed = {
            str(Path(file).relative_to(self.root)): {
                str(line): [test for test in tests if test in seconds]
                for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        part = path.with_suffix(f".{os.getpid()}")
        Measured(seconds, executed).write(part)
        part.rename(path)

    def _own_folder(self, items: Sequence[pytest.Item]) -> None:
        for item in items[:1]:
            item.config._tmp_path_factory._given_basetemp = self.work / str(os.getpid())  # type: ignore[attr-defined]

    def _run(self, mutant: Mutant) -> int:
        if mutant.owner:
            return self._fate(mutant, exchanged=_exchange(mutant, self.root))
        return self._elsewhere(mutant)

    def _fate(self, mutant: Mutant, *, exchanged: bool) -> int:
        if not exchanged:
            return self._elsewhere(mutant)
        tests = self._measured.tests_of(mutant, self.options.seconds)
        items = [self._items[name] for name in tests if name in self._items]
        if not items:
            return 3
        allowed = _LEAST_SECONDS + _TIMES * sum(self._measured.seconds[i.nodeid] for i in items)
        _limit(int(allowed))
        self._own_folder(items)
        for item, following in zip(items, [*items[1:], None], strict=True):
            reports = runtestprotocol(item, log=False, nextitem=following)
            if any(report.failed for report in reports):
                return 1
        return 0

    def _elsewhere(self, mutant: Mutant) -> int:
        """In a process of its own, which imports the fault."""
        o = self.options
        tests = self._measured.tests_of(mutant, o.seconds)
        if not tests:
            return 3
        files = sorted({name.split("::")[0] for name in tests})
        command = [sys.executable, "-m", "benchmarks.mutation", "--one", mutant.key]
        command += ["--work", str(o.work), "--seconds", str(o.seconds)]
        command += ["--rooms", *o.rooms, "--tests", *o.tests]
        command += ["--without", *o.without] if o.without else []
        environment = {**os.environ, "MUTATION_FILES": os.pathsep.join(files)}
        return subprocess.run(command, env=environment, check=False).returncode


class Measured:
    """What the tests execute, and how long they take."""

    def __init__(
        self, seconds: dict[str, float], executed: dict[str, dict[str, list[str]]]
    ) -> None:
        self.seconds, self._executed = seconds, executed

    @classmethod
    def read(cls, path: Path) -> Measured:
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"seconds": self.seconds, "executed": self._executed}))

    @classmethod
    def together(cls, parts: Any) -> Measured:
        whole = cls({}, {})
        for part in parts:
            whole.seconds.update(part.seconds)
            for file, lines in part._executed.items():
                known = whole._executed.setdefault(file, {})
                for line, tests in lines.items():
                    known.setdefault(line, []).extend(tests)
        return whole

    def tests_of(self, mutant: Mutant, most: float) -> list[str]:
        """The tests that execute it, those of its room first, then the quickest, file by file."""
        lines = self._executed.get(mutant.file, {})
        first, last = mutant.lines
        if mutant.owner:
            found = {t for line in range(first, last + 1) for t in lines.get(str(line), ())}
        else:
            found = {test for tests in lines.values() for test in tests}
        chosen: dict[str, list[str]] = {}
        mine = f"tests/{mutant.room}/"
        for test in sorted(found, key=lambda t: (not t.startswith(mine), self.seconds[t])):
            most -= self.seconds[test]
            if most < 0 and chosen:
                break
            chosen.setdefault(test.split("::")[0], []).append(test)
        return [test for tests in chosen.values() for test in tests]


def hash_of(said: str, paths: Iterable[Path], root: Path) -> str:
    """Of some words, and of files and their names."""
    digest = hashlib.sha256(said.encode())
    for path in paths:
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _exchange(mutant: Mutant, root: Path) -> bool:
    """Put the fault into the function that is there; False where that cannot be."""
    changed = function_in(mutant.code(root), mutant.owner)
    by_line = {code.co_firstlineno: code for code in changed}
    done = False
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_qualname == mutant.owner:
            code = thing.__code__
            if Path(code.co_filename) != root / mutant.file or code.co_firstlineno not in by_line:
                continue
            with contextlib.suppress(ValueError):
                thing.__code__ = by_line[code.co_firstlineno]
                done = True
    return done


def _forked(action: Callable[[], int]) -> int:
    child = os.fork()
    if child == 0:
        status = _BROKEN
        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            status = action()
        finally:
            os._exit(status)
    return child


def _limit(seconds: int) -> None:
    signal.signal(signal.SIGXCPU, lambda *_: os._exit(2))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


class _Faulty(SourceFileLoader):
    code: CodeType

    def get_code(self, fullname: str) -> CodeType:
        return self.code


class _Finder:
    """Finds the one module that has a fault."""

    def __init__(self, mutant: Mutant, root: Path) -> None:
        self._path, self._code = str(root / mutant.file), mutant.code(root)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("normonnx."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin != self._path or not isinstance(spec.loader, SourceLoader):
            return None
        spec.loader = _Faulty(fullname, self._path)
        spec.loader.code = self._code
        return spec


def run_with(runner: Runner) -> int:
    """Collect the tests and let the runner take it from there."""
    tests = list(runner.options.tests)
    if runner.alone:
        sys.meta_path.insert(0, _Finder(runner.mutants[0], runner.root))
        tests = os.environ["MUTATION_FILES"].split(os.pathsep)
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--no-summary"]
    quiet += [f"--ignore-glob=*{name}*" for name in runner.options.without]
    code = pytest.main([*quiet, *tests], plugins=[runner])
    return int(code)
