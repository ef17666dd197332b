"""A real Dask scheduler with two worker processes, one of which is killed half-way."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import normonnx
from normonnx.cli import main
from normonnx.fleet.cluster import cluster

distributed: Any = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

MODELS = 8
SMALL = ("conv1d_batchnorm.onnx", "tutorial_dense_layernorm.onnx")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Any]:
    local = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with local:
        yield local


@pytest.fixture
def house(tmp_path: Path, models_dir: Path) -> Path:
    house = tmp_path / "house"
    house.mkdir()
    for number in range(MODELS):
        shutil.copy(models_dir / SMALL[number % 2], house / f"{number}.onnx")
    return house


def test_a_worker_is_killed_and_nothing_is_lost(
    scheduler: Any, house: Path, tmp_path: Path
) -> None:
    killed = []

    def kill_one(what: str, done: int, total: int) -> None:
        if done == total // 2 and not killed:
            killed.extend(pids[:1])
            os.kill(killed[0], signal.SIGKILL)

    with distributed.Client(scheduler, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    with cluster(scheduler.scheduler_address) as executor:
        run = normonnx.optimize_many(
            [house], tmp_path / "out", executor=executor, verify=False, progress=kill_one
        )
    assert killed
    assert [model.status for model in run.models] == ["unverified"] * MODELS
    # Whoever is killed while writing leaves a file under another name, and no half of a model.
    written = [path.name for path in (tmp_path / "out").iterdir()]
    assert sorted(name for name in written if not name.startswith(".normonnx-")) == [
        f"{number}.onnx" for number in range(MODELS)
    ]
    here = normonnx.optimize(house / "0.onnx", verify=False)
    assert (tmp_path / "out" / "0.onnx").read_bytes() == here.to_bytes()


def test_command_line(
    scheduler: Any, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths, for workers that work elsewhere."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("optimize", "house/0.onnx", "house/1.onnx", "--output-dir", "out"),
                *("--dask", scheduler.scheduler_address, "--report", "json=r.json"),
            ]
        )
    assert ended.value.code == 0
    models = json.loads((tmp_path / "r.json").read_text())["models"]
    assert [model["status"] for model in models] == ["pass", "pass"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.onnx", "1.onnx"]
