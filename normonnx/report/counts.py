"""What a model had and has: nodes, norms, operators, sizes, versions."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from normonnx.report.layout import magnitude_of_bytes, print_columns
from normonnx.report.names import safe_name
from normonnx.report.result import ModelFacts
from normonnx.runtime.releases import oldest_for

_OPERATORS_SHOWN = 4

_NORM = "Norm"


def sizes(facts: ModelFacts) -> list[str]:
    """The bytes of the weights, and of the file with its data files where there is one."""
    found = [f"weights {magnitude_of_bytes(facts.nbytes)}"]
    if facts.file_bytes is not None:
        found.append(f"file {magnitude_of_bytes(facts.file_bytes)}")
    return found


def changes(before: ModelFacts, after: ModelFacts) -> list[tuple[str, int, int]]:
    """Operators with their counts before and after, norms first, then what changes most."""
    names = sorted({*before.operators, *after.operators})
    counts = [(n, before.operators.get(n, 0), after.operators.get(n, 0)) for n in names]
    return sorted(counts, key=lambda count: (not is_norm(count[0]), -abs(count[2] - count[1])))


def by_count(operators: Mapping[str, int]) -> list[tuple[str, int]]:
    """Operators with their counts, norms first, then the most frequent."""
    return sorted(operators.items(), key=lambda item: (not is_norm(item[0]), -item[1], item[0]))


def is_norm(operator: str) -> bool:
    """Whether an operator, as ``domain::name`` outside the default domain, is a normalisation."""
    return _NORM in operator.rpartition("::")[2]


def difference(before: ModelFacts, after: ModelFacts) -> str:
    """Such as ``nodes 176 → 123 · BatchNormalization 53 → 0 · weights 97.5 MiB → 97.3 MiB``."""
    parts = [f"nodes {before.nodes:,} → {after.nodes:,}"]
    changed = [change for change in changes(before, after) if change[1] != change[2]]
    norms = [change for change in changed if is_norm(change[0])]
    others = [change for change in changed if not is_norm(change[0])]
    shown = [*norms, *others[: max(0, _OPERATORS_SHOWN - len(norms))]]
    parts += [f"{safe_name(name)} {old} → {new}" for name, old, new in shown]
    for title, old, new in (
        ("weights", before.nbytes, after.nbytes),
        ("file", before.file_bytes, after.file_bytes),
    ):
        if old is not None and new is not None and old != new:
            parts.append(f"{title} {magnitude_of_bytes(old)} → {magnitude_of_bytes(new)}")
    return " · ".join(parts)


def show_operators(before: ModelFacts, after: ModelFacts, console: Console) -> None:
    """A table of every operator, before and after."""
    rows = [[Text(title, "cyan") for title in ("operator", "before", "after")]]
    rows += [
        [Text(safe_name(name)), Text(f"{old:,}"), Text(f"{new:,}", "" if old == new else "green")]
        for name, old, new in changes(before, after)
    ]
    print_columns(rows, console)


def versions_raised(before: ModelFacts, after: ModelFacts) -> str:
    """Which versions rose, and the oldest ONNX Runtime that loads the result; "" for none."""
    raised = [
        f"{title} {old} → {new}"
        for title, old, new in (
            ("opset", before.opset, after.opset),
            ("IR version", before.ir_version, after.ir_version),
        )
        if new > old
    ]
    if not raised:
        return ""
    oldest = oldest_for(after.opset, after.ir_version)
    needed = (
        f"loads in ONNX Runtime {oldest} and newer"
        if oldest
        else "newer than any release known here"
    )
    return f"{' · '.join(raised)}: {needed}"
