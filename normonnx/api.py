"""The story in one page: load, rewrite, judge, take back what the judge finds guilty, report."""

from __future__ import annotations

import os
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx import judge as judging
from normonnx import model_io, pipeline
from normonnx.errors import WriteError
from normonnx.facts import facts_of
from normonnx.graph.fixing import fix_sizes
from normonnx.journal import Rewrite
from normonnx.model_io import LoadedModel, SavedModel, Source
from normonnx.ops.presence import needs_kernels
from normonnx.options import Asked, Options
from normonnx.pipeline import Outcome
from normonnx.plan import Plan
from normonnx.report import Inspection, ModelReport, Reverted, safe_name
from normonnx.runtime.extensions import Extensions

if TYPE_CHECKING:
    from normonnx.benching.result import BenchReport
    from normonnx.judge import Verdict, VerifyOptions

_MOST_REVERTED = 8
"""After so many guilty rewrites the fault is not in single rewrites."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


class Optimized(Struct, frozen=True):
    """An optimised model, what was done to it, and whether it still holds.

    Attributes:
        model: the new model; weights that did not change may still be on disk.
        report: what was done.
    """

    model: ir.Model
    report: ModelReport
    _source: LoadedModel
    _options: Options
    _is_original: bool = False

    def __repr__(self) -> str:
        told = self.report.line().removeprefix("normonnx: ")
        return f"<Optimized {safe_name(self.report.name)}: {told}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.report._repr_html_()

    @property
    def original(self) -> ir.Model:
        """The model as it came."""
        return self._source.model

    @property
    def plan(self) -> Plan:
        """The rewrites that stand, as data: `optimize(other, plan=...)` makes them again."""
        return Plan.of(self.report.rewrites, self._options, model=self.report.name)

    @property
    def passed(self) -> bool:
        """Whether the judge passed it, or had nothing to judge."""
        return self.report.status == "pass"

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        external_data: bool | None = None,
        unverified: bool = False,
    ) -> SavedModel:
        """Write the model, whole or not at all; byte for byte the original when nothing changed.

        Args:
            path: the destination; it may be the file the model came from.
            external_data: whether weights go into a data file; None keeps the original's style.
            unverified: write it although the judge did not pass it.

        Raises:
            WriteError: the judge did not pass it, or the system refused.
        """
        self._refuse_unverified(unverified)
        in_place = self._source.is_at(path)
        if self._is_original and external_data is None:
            if in_place and self._source.external:
                return SavedModel(Path(path), self._source.nbytes, self._source.sha256, None)
            saved = model_io.copy(self._source, path)
            if saved is not None:
                return saved
        if external_data is None and self._source.external:
            external_data = True
        return model_io.save(self.model, path, external_data=external_data, in_place=in_place)

    def to_bytes(self, *, unverified: bool = False) -> bytes:
        """The model as the bytes of one file.

        Raises:
            WriteError: the judge did not pass it, or it is too large for one file.
        """
        self._refuse_unverified(unverified)
        content = model_io.original_bytes(self._source) if self._is_original else None
        return model_io.dump(self.model) if content is None else content

    def _refuse_unverified(self, unverified: bool) -> None:
        if self.report.status in ("fail", "inconclusive", "unfit") and not unverified:
            raise WriteError(
                f"the verdict on the model is '{self.report.status}'",
                where=self.report.name,
                hint="look at report.verdict; save(..., unverified=True) writes it all the same",
            )


def optimize(
    model: Source,
    *,
    options: Options | None = None,
    plan: Plan | None = None,
    partial: bool = False,
    progress: Progress | None = None,
    **asked: Unpack[Asked],
) -> Optimized:
    """Fold and fuse every normalisation of a model that can be, and prove that it still holds.

    Args:
        model: a path, ``-``, bytes, an ``onnx.ModelProto``, an ``onnx_ir.Model`` or a
            ``torch.onnx.ONNXProgram``; never changed.
        options: what is asked for; None for the defaults.
        plan: make exactly its rewrites, under its options instead of those given here.
        partial: make what of the plan still fits, where some of it does not.
        progress: told what is going on.
        asked: fields of `normonnx.Options` by name, which take precedence over ``options``, such
            as ``target="ort"`` or ``verify=False``.

    Returns:
        The new model and its report; `Optimized.save` writes it.

    Raises:
        NormonnxError: the model is unreadable, invalid or unsafe, or the options make no sense.
    """
    options = (options or Options()).but(**asked)
    if plan is not None:
        options = options.but(**plan.asked)
    judged = _judging(options) if options.verify else None
    start = time.perf_counter()
    _tell(progress, "load")
    loaded, fixed = _loaded(model, options)
    _tell(progress, "rewrite")
    only = None if plan is None else plan.keys

    def rewrite(own: ir.Model, **limits: Any) -> Outcome:
        return pipeline.run(own, options, only=only, in_place=True, **limits)

    own = loaded.give()
    before = replace(facts_of(own), file_bytes=loaded.file_bytes)
    outcome = rewrite(own)
    if outcome.is_inlined:
        # The first note tells of the functions, which stay.
        outcome = replace(outcome, model=loaded.model, notes=outcome.notes[1:])
    report = ModelReport(
        name=loaded.name,
        status="unverified",
        target=options.target,
        before=before,
        unfit=() if plan is None else plan.unfit(outcome.journal),
    )
    is_original = (
        not fixed and not outcome.journal.rewrites and model_io.same(loaded.model, outcome.model)
    )
    reverted: tuple[Reverted, ...] = ()
    if report.unfit and not partial:
        report = replace(report, status="unfit")
    elif is_original:
        if options.verify:
            _refuse_unloadable(loaded, options)
        report = replace(report, status="pass" if options.verify else "unverified")
    elif judged is not None:
        outcome, verdict, reverted = _judged(loaded, outcome, rewrite, judged, progress)
        report = replace(report, status=verdict.status, verdict=verdict)
    taken_back = {item.rewrite.key for item in reverted}
    journal = outcome.journal
    report = replace(
        report,
        after=facts_of(outcome.model),
        rewrites=tuple(journal.rewrites),
        near_misses=tuple(
            miss
            for miss in journal.near_misses.values()
            if miss.key not in taken_back and plan is None
        ),
        reverted=reverted,
        notes=(*fixed, *outcome.notes),
        pictures=outcome.pictures,
        seconds=time.perf_counter() - start,
    )
    return Optimized(outcome.model, report, loaded, options, is_original)


def verify(
    original: Source,
    optimized: Source,
    *,
    providers: tuple[str, ...] = ("cpu",),
    seed: int = 0,
    allow_cpu_fallback: bool = False,
    data: str | os.PathLike[str] | Callable[[], Iterable[Mapping[str, Any]]] | None = None,
    rtol: float | Mapping[str, float] | None = None,
    atol: float | Mapping[str, float] | None = None,
    sqnr_min: float | None = None,
    strict: bool = False,
    strict_onnx: bool = False,
    freeze_initializers: bool = False,
    save_repro: str | os.PathLike[str] | None = None,
    custom_ops: Iterable[str | os.PathLike[str]] = (),
    allow_data_dir: Iterable[str | os.PathLike[str]] = (),
    allow_hardlinks: bool = False,
    untrusted: bool = False,
    progress: Progress | None = None,
) -> Verdict:
    """Judge whether a model still computes what another one computes.

    Args:
        original: the model that is right by definition; see `optimize` for what it may be.
        optimized: the model that is judged.
        providers: what to run both on, of "cpu" and "cuda".
        seed: of the generated feeds.
        allow_cpu_fallback: compare on the CPU, and say so, where a provider is not there.
        data: feeds to use instead: an .npz or .npy file, a directory in the layout of ONNX's
            tests, or a function that gives one mapping from input names to arrays per feed.
        rtol: judge by a fixed relative tolerance instead of the distance to the float64 truth,
            all outputs, or by name.
        atol: as `rtol`, absolute.
        sqnr_min: least ratio of signal to the optimised model's noise, in decibels.
        strict: demand the same bits.
        strict_onnx: what onnx.checker says against the optimised model is a violation.
        freeze_initializers: initializers that are also inputs, which a caller could override, may
            be gone.
        save_repro: where to write the smallest failing window and its data, if parity fails.
        custom_ops: files of libraries with the models' own operators, for ONNX Runtime; one that
            is a build of this package's library is used instead of the installed one.
        allow_data_dir: further directories that external data may lie in.
        allow_hardlinks: accept data files with more than one name.
        untrusted: refuse data files reached through links, and run ONNX Runtime in processes of
            its own.
        progress: told what is going on.

    Raises:
        NormonnxError: a model is unreadable, invalid or unsafe, or the options make no sense.
    """
    options = judging.VerifyOptions(
        providers=providers,
        seed=seed,
        allow_cpu_fallback=allow_cpu_fallback,
        data=data if data is None or callable(data) else Path(data),
        rtol=rtol,
        atol=atol,
        sqnr_min=sqnr_min,
        strict=strict,
        strict_onnx=strict_onnx,
        freeze_initializers=freeze_initializers,
        isolated=untrusted,
        extensions=Extensions.of(custom_ops),
    )
    _tell(progress, "load")
    before, after = (
        model_io.load(
            source,
            allow_data_dir=allow_data_dir,
            allow_hardlinks=allow_hardlinks,
            untrusted=untrusted,
        )
        for source in (original, optimized)
    )
    return judging.verify(
        before.model,
        after.model,
        options=options,
        progress=progress,
        repro=None if save_repro is None else Path(save_repro),
    )


def inspect(model: Source, *, options: Options | None = None, **asked: Unpack[Asked]) -> Inspection:
    """Every normalisation of a model: what would happen to it, or why not and what to do.

    Args:
        model: see `optimize`.
        options: what is asked for, as for `optimize`; what is about judging does not matter.
        asked: fields of `normonnx.Options` by name.

    Raises:
        NormonnxError: the model is unreadable, invalid or unsafe, or the options make no sense.
    """
    from normonnx.inspection import survey

    options = (options or Options()).but(**asked)
    loaded, _ = _loaded(model, options)
    found = survey(loaded.model, loaded.name, options)
    return replace(found, facts=replace(found.facts, file_bytes=loaded.file_bytes))


def bench(
    original: Source,
    *others: Source,
    providers: tuple[str, ...] = ("cpu",),
    levels: tuple[str, ...] = ("all",),
    threads: tuple[int, ...] = (0,),
    seconds: float = 3.0,
    sizes: Mapping[str, int] | None = None,
    data: str | os.PathLike[str] | None = None,
    seed: int = 0,
    profile: bool = False,
    custom_ops: Iterable[str | os.PathLike[str]] = (),
    allow_data_dir: Iterable[str | os.PathLike[str]] = (),
    allow_hardlinks: bool = False,
    progress: Progress | None = None,
) -> BenchReport:
    """Measure how fast models are in ONNX Runtime, against the first of them.

    Args:
        original: the model to compare with; see `optimize` for what it may be.
        others: models that take the same inputs.
        providers: what to run on, of "cpu" and "cuda".
        levels: of ONNX Runtime's own optimisations, of "off", "basic", "extended" and "all".
        threads: counts of threads within an operator; 0 leaves it to the runtime.
        seconds: how long to measure in each setting.
        sizes: sizes of open dimensions, by name; the others are chosen.
        data: inputs to use instead, as for `verify`; the first set is used.
        seed: of the generated inputs, and of the bootstrap.
        profile: whether to say where the time goes, operator by operator.
        custom_ops: files of libraries with the models' own operators, for ONNX Runtime.
        allow_data_dir: further directories that external data may lie in.
        allow_hardlinks: accept data files with more than one name.
        progress: told what is going on.

    Returns:
        Medians with their spread, and the ratios with their 95 % intervals, per setting.

    Raises:
        NormonnxError: a model is unreadable or does not run, or the options make no sense.
    """
    from normonnx.benching.compare import compare
    from normonnx.benching.options import BenchOptions

    options = BenchOptions(
        providers=providers,
        levels=levels,
        threads=threads,
        seconds=seconds,
        sizes=dict(sizes or {}),
        data=None if data is None else Path(data),
        seed=seed,
        profile=profile,
        extensions=Extensions.of(custom_ops),
    )
    return compare(
        original,
        *others,
        options=options,
        allow_data_dir=allow_data_dir,
        allow_hardlinks=allow_hardlinks,
        progress=progress,
    )


def _loaded(model: Source, options: Options) -> tuple[LoadedModel, tuple[str, ...]]:
    """The model as the user wants it judged, with its sizes set, and what was set."""
    loaded = model_io.load(model, **_reading(options))
    if not options.sizes and not options.input_shapes:
        return loaded, ()
    told: list[str] = []
    loaded = loaded.changed(
        lambda own: told.append(fix_sizes(own, options.sizes, options.input_shapes))
    )
    return loaded, (told[0],)


def _reading(options: Options) -> dict[str, Any]:
    """How a model is read, as `model_io.load` takes it."""
    return {
        "allow_data_dir": options.allow_data_dir,
        "allow_hardlinks": options.allow_hardlinks,
        "untrusted": options.untrusted,
    }


def _judging(options: Options) -> VerifyOptions:
    """How the result is judged."""
    return judging.VerifyOptions(
        providers=options.providers,
        seed=options.seed,
        data=None if options.data is None else Path(options.data),
        rtol=options.rtol,
        atol=options.atol,
        freeze_initializers=options.freeze_initializers,
        isolated=options.untrusted,
        extensions=Extensions.of(options.custom_ops),
    )


def _refuse_unloadable(loaded: LoadedModel, options: Options) -> None:
    """Refuse a model that is left as it came, if it cannot have been right as it came.

    Raises:
        UnreadableModelError: ONNX Runtime takes it for no valid model.
    """
    from normonnx.running import refuse_unloadable

    extensions = Extensions.of(options.custom_ops)
    refuse_unloadable(loaded.model, loaded.name, extensions, isolated=options.untrusted)


def _judged(
    loaded: LoadedModel,
    outcome: Outcome,
    rewrite: Callable[..., Outcome],
    verify_options: VerifyOptions,
    progress: Progress | None,
) -> tuple[Outcome, Verdict, tuple[Reverted, ...]]:
    """Judge the outcome; while it fails, find the guilty rewrite, skip it, and run again."""
    judge = judging.Judge(
        loaded.model,
        verify_options,
        readings=outcome.readings,
        kernels=needs_kernels(outcome.model),
    )

    def judged(candidate: Outcome) -> Verdict:
        return judge.judge(
            candidate.model,
            # What the truth reads of a constant holds where a rewrite is not made, too.
            exact=ChainMap({}, candidate.exact, outcome.readings),
            exact_attributes=candidate.exact_attributes,
            certified=len(candidate.journal.rewrites),
            progress=progress,
        )

    _tell(progress, "verify")
    verdict = judged(outcome)
    skip: frozenset[str] = frozenset()
    reverted: list[Reverted] = []
    settled = outcome.settled
    while verdict.status == "fail" and len(reverted) < _MOST_REVERTED:
        culprit = _culprit(loaded, outcome, rewrite, skip, judged, progress)
        if culprit is None:
            break
        reverted.append(Reverted(culprit, verdict.first_failure))
        skip |= {culprit.key}
        outcome = rewrite(loaded.give(), skip=skip, settled=settled)
        verdict = judged(outcome)
    return outcome, verdict, tuple(reverted)


def _culprit(
    loaded: LoadedModel,
    outcome: Outcome,
    rewrite: Callable[..., Outcome],
    skip: frozenset[str],
    judged: Callable[[Outcome], Verdict],
    progress: Progress | None,
) -> Rewrite | None:
    """The first rewrite with which the model fails; None if it fails without any."""
    rewrites = outcome.journal.made

    def fails(count: int) -> bool:
        _tell(progress, f"look for the guilty one of {len(rewrites)} rewrites, try {count}")
        prefix = rewrite(loaded.give(), skip=skip, limit=count, settled=outcome.settled)
        return judged(prefix).status == "fail"

    if not rewrites or fails(0):
        return None
    position = judging.bisect(len(rewrites), fails)
    return None if position is None else rewrites[position]


def _tell(progress: Progress | None, what: str) -> None:
    if progress is not None:
        progress(what, 0, 0)
