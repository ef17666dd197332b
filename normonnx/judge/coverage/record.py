"""What was reached of a model, by one evaluation or several."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field

from normonnx.judge.coverage.tables import Table
from normonnx.operators.kernels import Array

NOTHING = -1
"""Stands, among the numbers of elements, for what is no element of the table."""


class Lookup(Struct, frozen=True, eq=False):
    """Where rows of a table are looked up.

    Attributes:
        table: which table.
        labels: the numbers of the elements in what it looks them up in.
        axis: along which axis.
        place: the number of the input that says which rows.
    """

    table: Table
    labels: Array
    axis: int
    place: int = 1

    def rows(self, wanted: Array) -> list[int]:
        """The rows that hold any of these numbers."""
        if self.labels is self.table.labels and self.table.axis == self.axis:
            rows: list[int] = np.flatnonzero(wanted).tolist()
            return rows
        there = wanted[self.labels] & (self.labels != NOTHING)
        found: list[int] = np.unique(np.nonzero(there)[self.axis]).tolist()
        return found


class Record(Struct):
    """What evaluations reached.

    Attributes:
        passed: the inputs of selecting nodes of which an element was passed on.
        entered: the graphs of nodes that ran, by their number.
        read: the labels of each table that a node read, None standing for the outputs.
        offered: the labels of each table among which a node chose.
        lookups: where rows of a table were looked up.
        unknown: nodes that did not run, as nothing computes what they read.
    """

    passed: set[tuple[ir.Node, int]] = field(default_factory=set)
    entered: set[tuple[ir.Node, int]] = field(default_factory=set)
    read: dict[tuple[Table, ir.Node | None], Array] = field(default_factory=dict)
    offered: dict[Table, Array] = field(default_factory=dict)
    lookups: dict[tuple[Table, ir.Node], Lookup] = field(default_factory=dict)
    unknown: set[ir.Node] = field(default_factory=set)

    def add(self, other: Record) -> None:
        """Take over what another record has."""
        self.passed |= other.passed
        self.entered |= other.entered
        for key, labels in other.read.items():
            self.read[key] = self.read[key] | labels if key in self.read else labels
        for table, labels in other.offered.items():
            known = self.offered.get(table)
            self.offered[table] = labels if known is None else known | labels
        self.lookups.update(other.lookups)
        self.unknown |= other.unknown
