"""Whether the feeds of a comparison reach all that differs; feeds are chosen for what they do not.

Values that are equal by structure need no feed. Of the rest, most weights are read whole on every
feed. What is left are rows of tables, branches, and what lies before a selection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec.structs import replace

from normonnx.feeds.reaching import Changes, condition_feeds, quieted, row_feeds
from normonnx.feeds.source import Feed, FeedSource
from normonnx.graph.interface import required_inputs
from normonnx.judge.alignment import Alignment
from normonnx.judge.cases import CHOSEN_DRAW, Cases, Progress
from normonnx.judge.coverage.bounds import Bounds
from normonnx.judge.coverage.changed import Changed, Selection
from normonnx.judge.coverage.probing import is_noticed
from normonnx.judge.coverage.record import Record
from normonnx.judge.coverage.recording import Recorder
from normonnx.judge.coverage.selecting import levels_of, noticed, selects
from normonnx.judge.coverage.settings import Setting, is_shown, setting_feeds
from normonnx.judge.coverage.tables import Table
from normonnx.judge.coverage.told import sentences
from normonnx.judge.subject import Case, NotComparableError
from normonnx.operators.kernels import Array, Inputs
from normonnx.operators.names import onnx_name
from normonnx.oracle.execution import (
    Frame,
    LacksOperatorError,
    OracleFailedError,
    OverBudgetError,
    Step,
)
from normonnx.oracle.oracle import Oracle
from normonnx.sizes.dimensions import Binding

_MOST_TRIES = 64
# What is added to the number of a feed for the same one with small numbers.
_TWIN = 1000
# A length at which what depends on how far apart two places are is likely to be seen.
_LONG = 33
# How often rows are left to chance whose indices are computed.
_DRAWS = 12
# The share of the time that is left which choosing feeds may take.
_SHARE = 0.5

_FAILURES = (LacksOperatorError, OracleFailedError, OverBudgetError)


class Coverage:
    """Looks at what feeds reach of two models, and at how they differ.

    Args:
        aligned: the models side by side.
        differences: what a feed may pass by, of which there is something.
    """

    def __init__(self, aligned: Alignment, differences: Changed) -> None:
        self._changed = differences
        self._optimized = aligned.optimized
        self._after = Oracle(aligned.optimized, partly=True)
        self._before = Oracle(aligned.original, partly=True) if self._changed.dropped else None
        self._reading = levels_of(aligned.original) if self._changed.dropped else {}
        self._record = Record()
        self._old = Record()
        self._noticed: set[Table] = set()
        self._opsets = dict(aligned.optimized.opset_imports)
        self._bounds = Bounds(differences.bounds)
        self._hidden: dict[ir.Node, Setting] = {s.node: s for s in differences.settings}

    def look(
        self, cases: Cases, used: Sequence[Case], progress: Progress | None
    ) -> tuple[list[Case], tuple[str, ...]]:
        """Look at the feeds, and choose further ones until everything is reached.

        Args:
            cases: the original on its feeds.
            used: those that the comparison looks at already.
            progress: is called with what is being done.

        Returns:
            The original on the feeds that were chosen, and a sentence for what none reaches.
        """
        for case in used:
            if case.feed.decisive and not self._is_done():
                try:
                    self._take(case.feed, cases.deadline)
                except _FAILURES as error:
                    return [], (_untold(error),)
        found = []
        if cases.source is not None and not self._is_done():
            found = self._chosen(cases, cases.source, used, progress)
        left = (self._left(), self._untaken(), list(self._hidden.values()), self._bounds.left)
        return found, tuple(sentences(*left, self._record))

    def _take(self, feed: Feed, deadline: float) -> tuple[Record, Record]:
        """Add what a feed reaches, and hand back what was reached before."""
        recorder = Recorder(self._changed.tables, self._changed.levels, feed.inputs)

        def observe(step: Step, inputs: Inputs, outputs: Sequence[Any], frame: Frame) -> None:
            recorder(step, inputs, outputs, frame)
            self._bounds.observe(step, inputs)
            setting = self._hidden.get(step.node)
            if setting is not None and is_shown(setting, inputs, outputs, self._opsets):
                del self._hidden[step.node]

        made = self._after.run(feed.inputs, deadline=deadline, observer=observe)
        record, old = recorder.finish(self._optimized.graph), Record()
        if self._before is not None:
            recorder = Recorder((), self._reading)
            self._before.run(feed.inputs, deadline=deadline, observer=recorder)
            old = recorder.record
        before = self._record, self._old
        self._record, self._old = Record(), Record()
        for one, other in zip((self._record, self._old), before, strict=True):
            one.add(other)
        self._record.add(record)
        self._old.add(old)
        for table in self._changed.tables:
            if table not in self._noticed and self._needs_probe(table):
                reached = table.differs & self._reached(table)
                if reached.any() and is_noticed(
                    self._optimized, table, reached, feed, made.outputs, deadline
                ):
                    self._noticed.add(table)
        return before

    def _chosen(
        self,
        cases: Cases,
        source: FeedSource,
        used: Sequence[Case],
        progress: Progress | None,
    ) -> list[Case]:
        """Feeds that reach more than those before them did."""
        now = time.monotonic()
        until = now + _SHARE * max(0.0, cases.deadline - now)
        found: list[Case] = []
        for number, feed in zip(range(_MOST_TRIES), self._tries(source, used), strict=False):
            if progress is not None:
                progress("feeds that reach what differs", number, _MOST_TRIES)
            before = None
            reached = self._measure()
            try:
                before = self._take(feed, until)
                if self._measure() <= reached:
                    continue
                found.append(cases.on(feed))
                found += self._twin(cases, source, feed)
            except (NotComparableError, *_FAILURES):
                if before is not None:
                    self._record, self._old = before
            if self._is_done() or time.monotonic() > until:
                break
        return found

    def _twin(self, cases: Cases, source: FeedSource, feed: Feed) -> list[Case]:
        """The same feed with small numbers, if it has any that may be so.

        What is read has to be seen: among ten thousand places a Softmax may leave one unweighed.
        """
        quiet = quieted(source.domains, feed.inputs)
        if not quiet:
            return []
        inputs = {**feed.inputs, **quiet}
        return [cases.on(replace(feed, draw=feed.draw + _TWIN, inputs=inputs))]

    def _tries(self, source: FeedSource, used: Sequence[Case]) -> Iterator[Feed]:
        """Feeds worth a try, what is aimed at first."""
        number = count(CHOSEN_DRAW)
        inputs = required_inputs(self._optimized)
        largest = max((c.feed for c in used), key=lambda f: sum(map(np.size, f.inputs.values())))

        def feed(changes: Changes) -> Feed:
            return source.altered(next(number), self._title(), largest.binding, changes)

        base = feed({})

        for setting in list(self._hidden.values()):
            for changes in setting_feeds(setting, inputs, base.inputs, self._opsets):
                yield feed(changes)
        for changes in row_feeds(inputs, self._rows(), base.inputs):
            yield feed(changes)
        for binding in self._bordering(source):
            yield source.altered(next(number), self._title(), binding, {})
        longest = max((row + 1 for rows in self._rows().values() for row in rows), default=0)
        longest = max(longest, self._longest(), *(b.number + 1 for b in self._bounds.left))
        for binding in source.lengthened(longest) if longest else ():
            yield source.altered(next(number), self._title(), binding, {})
        for changes in condition_feeds(inputs, source.domains, base.inputs):
            yield feed(changes)
        for binding in source.lengthened(_LONG):
            yield source.altered(next(number), self._title(), binding, {})
        for _ in range(_DRAWS if self._record.lookups else 0):
            yield feed({})

    def _bordering(self, source: FeedSource) -> Iterator[Binding]:
        """Sizes that are what others are cut off at or compared with, and the next ones."""
        for size in (b.number + step for b in self._bounds.left for step in (0, 1)):
            yield from islice(source.lengthened(size), 1)

    def _title(self) -> str:
        names = [f"'{t.value.name}'" for t, _ in self._left()]
        names += map(str, (*self._untaken(), *self._hidden.values(), *self._bounds.left))
        return f"reaches {names[0]}" if names else "reaches more"

    def _rows(self) -> dict[tuple[ir.Node, int], list[int]]:
        """Which rows are still to be looked up, by the node and the input that says which."""
        left = dict(self._left())
        found: dict[tuple[ir.Node, int], list[int]] = {}
        for (table, node), lookup in self._record.lookups.items():
            if table in left:
                rows, at = lookup.rows(left[table]), (node, lookup.place)
                found[at] = sorted({*found.get(at, ()), *rows})
        return found

    def _longest(self) -> int:
        """The length at which a slice of a table holds all that is left."""
        sliced = [t for t, _ in self._left() if any(_is_cut(n) for n, _ in t.value.uses())]
        return max((max(t.labels.shape, default=0) for t in sliced), default=0)

    def _is_done(self) -> bool:
        left = self._left() or self._untaken() or self._hidden
        return not left and self._bounds.is_done

    def _measure(self) -> int:
        """How much is left, counted downwards."""
        left = sum(int(np.count_nonzero(missing)) for _, missing in self._left())
        left += len(self._untaken()) + len(self._hidden) + len(self._bounds.left)
        return self._bounds.met - left

    def _untaken(self) -> list[Selection]:
        """The branches that differ and that no feed took."""
        found = [s for s in self._changed.selections if not _is_taken(s, self._record)]
        return found + [s for s in self._changed.dropped if not _is_taken(s, self._old)]

    def _left(self) -> list[tuple[Table, Array]]:
        """The tables with numbers that differ and that no feed reached."""
        found = []
        for table in self._changed.tables:
            missing = table.differs & self._record.offered.get(table, True)
            if not self._needs_probe(table) or table in self._noticed:
                missing = missing & ~self._reached(table)
            if missing.any():
                found.append((table, missing))
        return found

    def _reached(self, table: Table) -> Array:
        """The numbers of a table that were read where an output takes notice."""
        levels, record = self._changed.levels, self._record
        seen = noticed(
            self._optimized.graph,
            lambda node, index: (
                not selects(node, index, levels)
                or (node, index) in record.passed
                or node in record.unknown
            ),
            lambda node, index: (node, index) in record.entered,
        )
        reached = np.zeros(table.differs.shape, dtype=bool)
        for (one, node), labels in record.read.items():
            if one is table and (node is None or not seen.isdisjoint(node.outputs)):
                reached |= labels
        return reached

    def _needs_probe(self, table: Table) -> bool:
        """Whether a part of a constant may be hidden behind the operator that reads it."""
        if self._after.missing:
            return False  # nor can it be told
        readers = [n for (one, n), _ in self._record.read.items() if one is table and n is not None]
        hidden = all(self._changed.open.isdisjoint(node.outputs) for node in readers)
        direct = (table, None) in self._record.read
        return bool(readers) and hidden and not direct and not table.differs.all()


def _is_taken(selection: Selection, record: Record) -> bool:
    is_input = onnx_name(selection.node) == "Where"
    place = (selection.node, selection.index)
    return place in (record.passed if is_input else record.entered)


def _is_cut(node: ir.Node) -> bool:
    return onnx_name(node) == "Slice"


def _untold(error: Exception) -> str:
    reason = f": {error}" if str(error) else ""
    return f"which weights and branches the feeds reach cannot be told{reason}"
