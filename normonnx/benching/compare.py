"""Measure models against each other: interleaved, warmed up, with how sure the ratio is.

Each round runs every model once, in an order that changes: whatever the machine does meanwhile, it
does to all of them. A model that takes microseconds runs many times in one sample, so that the
clock does not matter.
"""

from __future__ import annotations

import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from normonnx import model_io
from normonnx.benching.child import start_in_child
from normonnx.benching.feeding import feed_for
from normonnx.benching.options import BenchOptions, Registered, Setting
from normonnx.benching.profiling import difference, profile
from normonnx.benching.result import BenchReport, Comparison, Measured
from normonnx.benching.runner import needed, open_session
from normonnx.benching.statistics import ratio, spread
from normonnx.doctor import versions
from normonnx.errors import EnvironmentLacksError, UnreadableModelError
from normonnx.feeds.source import shapes_of
from normonnx.model_io import LoadedModel, Source
from normonnx.runtime.element_types import prepared
from normonnx.runtime.kernels import kernels_for
from normonnx.runtime.providers import PROVIDERS
from normonnx.runtime.wire import encode

_SHORTEST_SAMPLE = 2e-3
"""A sample takes this many seconds at least."""
_FEWEST_ROUNDS = 11
_MOST_ROUNDS = 5000

Progress = Callable[[str, int, int], None]


def compare(
    original: Source,
    *others: Source,
    options: BenchOptions,
    allow_data_dir: Iterable[str | os.PathLike[str]] = (),
    allow_hardlinks: bool = False,
    progress: Progress | None = None,
) -> BenchReport:
    """Measure models against the first of them.

    Args:
        original: the model to compare with: a path, bytes, a proto or an ``onnx_ir.Model``.
        others: models of the same inputs.
        options: how to measure.
        allow_data_dir: further directories that external data may lie in.
        allow_hardlinks: accept data files with more than one name.
        progress: told what is going on.

    Raises:
        NormonnxError: a model is unreadable or does not run, or a provider is not here.
    """
    _require(options.providers)
    loaded = [
        model_io.load(source, allow_data_dir=allow_data_dir, allow_hardlinks=allow_hardlinks)
        for source in (original, *others)
    ]
    given = feed_for(loaded[0].model, options)
    registered = [_registered(model, options) for model in loaded]
    notes = [note for note in (given.note, *(note for _, note in registered)) if note]
    with tempfile.TemporaryDirectory(prefix="normonnx-bench-") as name:
        room = _Room(
            Path(name), loaded, [one for one, _ in registered], given.inputs, options, progress
        )
        comparisons = tuple(room.compare(setting) for setting in options.settings())
    shapes = shapes_of(given.inputs)
    return BenchReport(comparisons, shapes, versions(), _machine(), tuple(notes))


class _Room:
    """The models as files, and the feed beside them, for as long as they are measured."""

    def __init__(
        self,
        directory: Path,
        loaded: list[LoadedModel],
        registered: list[Registered],
        feed: Mapping[str, Any],
        options: BenchOptions,
        progress: Progress | None,
    ) -> None:
        self._directory = directory
        self._names = [model.name for model in loaded]
        self._files = [model_io.to_session_file(model.model, directory) for model in loaded]
        self._registered = registered
        self._feed = feed
        self._feed_file = directory / "feed"
        self._feed_file.write_bytes(encode(feed))
        self._options = options
        self._progress = progress

    def compare(self, setting: Setting) -> Comparison:
        """All models in one setting."""
        sampled = self._samples(setting)
        starts = []
        if self._options.processes:
            for index, path in enumerate(self._files):
                self._tell(f"start {self._names[index]}", index, len(self._files))
                starts.append(
                    start_in_child(path, self._feed_file, setting, self._registered[index])
                )
        measured = tuple(
            Measured(
                name,
                spread(samples),
                tuple(samples),
                starts[index].first_run if starts else None,
                starts[index].session if starts else None,
                starts[index].peak_bytes if starts else None,
            )
            for index, (name, samples) in enumerate(zip(self._names, sampled, strict=True))
        )
        ratios = tuple(ratio(new, sampled[0], seed=self._options.seed) for new in sampled[1:])
        profiles = self._profiles(setting) if self._options.profile else ()
        return Comparison(setting, measured, ratios, profiles)

    def _samples(self, setting: Setting) -> list[list[float]]:
        """Seconds per run: one list per model, one number per round."""
        runs = [self._warm(path, index, setting) for index, path in enumerate(self._files)]
        order = list(range(len(runs)))
        shuffled = random.Random(self._options.seed)
        found: list[list[float]] = [[] for _ in runs]
        begin = time.perf_counter()
        end = begin + self._options.seconds
        while len(found[0]) < _MOST_ROUNDS:
            now = time.perf_counter()
            if now >= end and len(found[0]) >= _FEWEST_ROUNDS:
                break
            self._tell(f"measure on {setting.label}, round {len(found[0]) + 1}", 0, 0)
            shuffled.shuffle(order)
            for index in order:
                run, repeats = runs[index]
                start = time.perf_counter()
                for _ in range(repeats):
                    run()
                found[index].append((time.perf_counter() - start) / repeats)
        return found

    def _warm(self, path: Path, index: int, setting: Setting) -> tuple[Callable[[], object], int]:
        """A session that has run, and how often it is to run in one sample."""
        try:
            session = open_session(path, setting, self._registered[index])
            run = prepared(session, needed(session, self._feed))
            for _ in range(self._options.warm_up):
                run()
        except Exception as error:
            raise UnreadableModelError(
                f"ONNX Runtime does not run the model: {str(error).splitlines()[0][:300]}",
                where=self._names[index],
            ) from error
        start = time.perf_counter()
        run()
        once = time.perf_counter() - start
        return run, max(1, round(_SHORTEST_SAMPLE / once))

    def _profiles(self, setting: Setting) -> tuple[tuple[Any, ...], ...]:
        self._tell("profile", 0, 0)
        first, *others = (
            profile(path, self._feed, setting, registered, self._directory)
            for path, registered in zip(self._files, self._registered, strict=True)
        )
        return tuple(difference(first, other) for other in others)

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(what, done, total)


def _registered(loaded: LoadedModel, options: BenchOptions) -> tuple[Registered, str]:
    """The libraries that a model runs with, and what to say of it."""
    extensions = options.extensions
    kernels = kernels_for(loaded.model, loaded.name, extensions, *options.providers)
    told = f"by its functions: {kernels.missing}" if kernels.missing else "with its library"
    note = f"{loaded.name} runs the operators of normonnx {told}" if kernels.wanted else ""
    return Registered(extensions, kernels.registered), note


def _require(providers: tuple[str, ...]) -> None:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    for provider in providers:
        if PROVIDERS[provider] not in available:
            raise EnvironmentLacksError(
                f"this ONNX Runtime has no {PROVIDERS[provider]}",
                hint="install onnxruntime-gpu, or measure on the cpu",
            )


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
