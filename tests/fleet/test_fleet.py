"""Many models: one that goes wrong is one report, and what is finished is not done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import pytest

import normonnx
from normonnx import fleet, model_io
from normonnx.errors import UsageError
from normonnx.fleet.finished import NAME, Finished, fingerprint
from normonnx.options import Options
from normonnx.report import ModelReport

SMALL = ("conv1d_batchnorm.onnx", "tutorial_dense_batchnorm.onnx", "tutorial_dense_layernorm.onnx")


@pytest.fixture
def house(tmp_path: Path, models_dir: Path) -> Path:
    """A directory with two models, and a third one below it."""
    house = tmp_path / "house"
    (house / "deep" / "er").mkdir(parents=True)
    for name, place in zip(SMALL, (house, house, house / "deep" / "er"), strict=True):
        shutil.copy(models_dir / name, place / name)
    return house


def files(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


WRITTEN = sorted([*SMALL[:2], f"deep/er/{SMALL[2]}"])


def killed(task: fleet.Task) -> ModelReport:
    """Dies of the second model."""
    if task.source.endswith(SMALL[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return ModelReport(task.source, "pass")


def greedy(task: fleet.Task) -> ModelReport:
    """Claims more memory for the second model than there is, in parts that there are."""
    if task.source.endswith(SMALL[1]):
        part = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
        hoard = [np.empty(part, np.uint8) for _ in range(16)]  # claimed, and never touched
        assert not hoard, "nobody said no"
    return ModelReport(task.source, "pass")


def tasks(house: Path, count: int = 9) -> list[fleet.Task]:
    return [fleet.Task(str(house / SMALL[n % 3]), None) for n in range(count)]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_crew_loses_the_task_that_kills_and_no_other(house: Path, workers: int) -> None:
    told: list[tuple[int, int]] = []
    work = fleet.work_through(
        tasks(house),
        workers=workers,
        run=killed,
        progress=lambda _, done, total: told.append((done, total)),
    )
    reports = dict(work)
    assert [reports[n].status for n in range(9)] == ["pass", "error", "pass"] * 3
    assert "died (SIGKILL)" in reports[1].error
    assert told == [(n, 9) for n in range(1, 10)]


def test_a_crew_survives_a_model_that_eats_the_memory(house: Path) -> None:
    """Each process has a limit; the error of the one that meets it is its own."""
    reports = dict(fleet.work_through(tasks(house, 3), workers=2, run=greedy))
    assert [reports[n].status for n in range(3)] == ["pass", "error", "pass"]
    assert "exit code 1" in reports[1].error


def test_a_directory_into_a_directory(house: Path, tmp_path: Path) -> None:
    run = normonnx.optimize_many([house], tmp_path / "out", jobs=2, verify=False)
    assert [model.name for model in run.models] == [SMALL[0], SMALL[2], SMALL[1]]
    assert {model.status for model in run.models} == {"unverified"}
    assert files(tmp_path / "out") == WRITTEN
    assert run.rewrites > 5
    assert json.loads(json.dumps(run.to_dict()))["summary"]["models"] == 3
    again = normonnx.optimize_many([house], house / "out", verify=False)
    assert len(again.models) == 3
    assert len(normonnx.optimize_many([house], house / "out", verify=False).models) == 3, (
        "results are no sources"
    )


def test_the_same_bytes_with_any_number_of_processes(house: Path, tmp_path: Path) -> None:
    contents = []
    for jobs in (1, 3):
        out = tmp_path / str(jobs)
        normonnx.optimize_many([house], out, jobs=jobs)
        contents.append({name: (out / name).read_bytes() for name in files(out)})
    assert contents[0] == contents[1]


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool


def test_any_executor(house: Path, tmp_path: Path, executor: Executor) -> None:
    (house / "broken.onnx").write_bytes(b"no model")
    run = normonnx.optimize_many([house], tmp_path / "out", executor=executor, verify=False)
    assert sorted(model.status for model in run.models) == ["refused", *["unverified"] * 3]
    assert files(tmp_path / "out") == WRITTEN
    assert run.exit_code == 3


class Losing(Executor):
    """An executor whose second task is lost."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future[ModelReport] = Future()
        if args[0].source.endswith(SMALL[1]):
            future.set_exception(ConnectionError("gone"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_what_an_executor_loses_is_one_report(house: Path, tmp_path: Path) -> None:
    run = normonnx.optimize_many([house], tmp_path / "out", executor=Losing(), verify=False)
    assert sorted(model.status for model in run.models) == ["error", "unverified", "unverified"]
    [lost] = [model for model in run.models if model.status == "error"]
    assert lost.name == SMALL[1]
    assert "died (ConnectionError)" in lost.error


def resumed(house: Path, out: Path, **options: object) -> list[bool]:
    """Which models a run finds finished, in the order of their names."""
    with ThreadPoolExecutor(1) as pool:
        run = normonnx.optimize_many(
            [house], out, executor=pool, resume=True, verify=False, **options
        )
    assert {model.status for model in run.models} == {"unverified"}
    return ["finished by an earlier run" in model.notes for model in run.models]


def test_what_is_finished_is_not_done_again(house: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert resumed(house, out) == [False] * 3
    before = {name: (out / name).stat().st_mtime_ns for name in WRITTEN}
    assert resumed(house, out) == [True] * 3
    assert {name: (out / name).stat().st_mtime_ns for name in WRITTEN} == before

    proto = onnx.load(house / SMALL[0])
    proto.doc_string = "trained further"
    onnx.save(proto, house / SMALL[0])
    assert resumed(house, out) == [False, True, True], "another content"
    (out / SMALL[1]).write_bytes(b"somebody else's")
    assert resumed(house, out) == [True, True, False], "another result"
    assert resumed(house, out, target="ort") == [False] * 3, "other options"
    with (out / NAME).open("ab") as file:
        file.write(b'{"key": "cut')
    assert resumed(house, out, target="ort") == [True] * 3, "a line that was cut is no line"


def test_data_files_are_part_of_the_content(house: Path, tmp_path: Path) -> None:
    source = tmp_path / "external"
    source.mkdir()
    loaded = model_io.load(house / SMALL[0])
    saved = model_io.save(loaded.model, source / SMALL[0], external_data=True)
    assert saved.data is not None
    out = tmp_path / "out"
    assert resumed(source, out) == [False]
    assert resumed(source, out) == [True]
    content = bytearray(saved.data.read_bytes())
    content[-1] ^= 1
    saved.data.write_bytes(content)
    assert resumed(source, out) == [False]


def test_an_interrupted_run_goes_on(house: Path, tmp_path: Path) -> None:
    """A run that is stopped after its first model; the next one does the other two."""
    out = tmp_path / "out"
    out.mkdir()
    todo = [fleet.Task(str(house / name), out / name, Options(verify=False)) for name in SMALL[:2]]
    work = fleet.work_through(todo, finished=Finished(out))
    next(work)
    work.close()
    reports = dict(fleet.work_through(todo, finished=Finished(out)))
    finished = [reports[n].notes == ("finished by an earlier run",) for n in range(2)]
    assert finished == [True, False]
    assert reports[0].rewrites, "as its report told then"


def test_calls_that_make_no_sense(house: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, options, sentence in (
        (([tmp_path / "empty"], tmp_path / "out"), {}, "no .onnx file"),
        (([house, house / SMALL[0]], tmp_path / "out"), {}, "become one file"),
        (([house / SMALL[0]], house), {}, "overwrite the model"),
        (([house], tmp_path / "out"), {"speed": 3}, "no such option"),
    ):
        with pytest.raises(UsageError, match=sentence):
            normonnx.optimize_many(*arguments, **options)  # type: ignore[arg-type]


def test_other_feeds_under_the_same_name_are_judged_anew(house: Path, tmp_path: Path) -> None:
    folder = tmp_path / "feeds" / "test_data_set_0"
    folder.mkdir(parents=True)
    feed = folder / "input_0.pb"
    feed.write_bytes(b"one")
    options = Options(data=str(folder.parent))
    task = fleet.Task(str(house / SMALL[0]), tmp_path / "o.onnx", options)
    first = fingerprint(task)
    assert first == fingerprint(task) is not None
    feed.write_bytes(b"other")
    assert fingerprint(task) != first
    assert fingerprint(fleet.Task(task.source, task.destination, Options(verify=False))) is not None
