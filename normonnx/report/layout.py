"""How text is laid out on a terminal: lines, columns, numbers with their units."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

LONG = 400
"""Sentences are shown up to this length, however long the names in them are."""


def print_text(text: Text, console: Console, indent: int = 2) -> None:
    """Print a line, wrapped on a terminal and whole elsewhere."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        console.print(Text(" " * indent).append_text(text), soft_wrap=True)


def print_columns(rows: Sequence[Sequence[Text]], console: Console) -> None:
    """Print rows with their columns aligned, the last one as long as it likes."""
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line = Text()
        for cell, width in zip(row[:-1], widths, strict=False):
            line.append_text(cell).append(" " * (width - cell.cell_len + 2))
        line.append_text(row[-1]).rstrip()
        print_text(line, console)


def magnitude(count: int) -> str:
    """A count in three digits or so: ``25.6 M``."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return str(count)


def magnitude_of_bytes(nbytes: int) -> str:
    """A size in three digits or so: ``97.5 MiB``."""
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= limit:
            return f"{nbytes / limit:.1f} {unit}"
    return f"{nbytes} B"


def duration(seconds: float) -> str:
    """A time in three digits, with the unit that fits: ``1.23 ms``."""
    for limit, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= limit * 0.9995:
            scaled = seconds / limit
            return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
