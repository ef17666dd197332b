"""Bars and histograms as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from normonnx.report.html.markup import Markup, element
from normonnx.report.names import safe_name

_BARS = 300.0
_PER_CHARACTER = 7.0
_LONGEST_LABEL = 28
_ROW = 24.0
_BAR = 14.0

_COLUMN = 30.0
_TALL = 90.0


def bars(
    rows: Sequence[tuple[str, float, str]],
    title: str,
    *,
    whiskers: Sequence[tuple[float, float]] = (),
    width: float = _BARS,
) -> Markup:
    """Horizontal bars, the first in the colour of what was and the others in that of what comes.

    Args:
        rows: label, length and what stands behind the bar.
        title: what they show, for those who do not see them.
        whiskers: where each bar's value may lie, in its unit.
        width: of the longest bar.
    """
    labels = [safe_name(label, longest=_LONGEST_LABEL) for label, _, _ in rows]
    left = max(map(len, labels)) * _PER_CHARACTER + 12
    right = max(len(number) for _, _, number in rows) * _PER_CHARACTER + 12
    longest = max([value for _, value, _ in rows] + [high for _, high in whiskers]) or 1.0
    shapes: list[Markup] = []
    for index, (_, value, number) in enumerate(rows):
        y = index * _ROW
        length = width * value / longest
        middle = y + _ROW / 2
        shapes.append(_text(left - 8, middle + 4, labels[index], anchor="end"))
        shapes.append(
            element(
                "rect", x=left, y=middle - _BAR / 2, width=length, height=_BAR, rx=3,
                class_="second" if index else "first",
            )
        )  # fmt: skip
        end = length
        if whiskers:
            low, high = (width * bound / longest for bound in whiskers[index])
            end = max(length, high)
            shapes.append(
                element(
                    "line", x1=left + low, x2=left + high, y1=middle, y2=middle,
                    class_="whisker",
                )
            )  # fmt: skip
        shapes.append(_text(left + end + 8, middle + 4, number, anchor="start"))
    return _svg(title, shapes, left + width + right, _ROW * len(rows))


def histogram(counts: Sequence[int], edges: Sequence[int], title: str) -> Markup:
    """How many elements are how many units in the last place away; heights are square roots.

    Args:
        counts: per class, the last of what lies above the last edge.
        edges: the upper end of each class but the last.
        title: what it shows.
    """
    last = max((i for i, count in enumerate(counts) if count), default=0)
    shown = list(counts[: max(last + 1, 4)])
    total = sum(counts) or 1
    tallest = max(shown) or 1
    shapes: list[Markup] = []
    for index, count in enumerate(shown):
        height = _TALL * (count / tallest) ** 0.5
        x = index * _COLUMN
        share = 100 * count / total
        told = f"{count:,} of {total:,} elements"
        shapes.append(
            element(
                "rect", element("title", told), x=x + 3, y=_TALL - height + 14,
                width=_COLUMN - 6, height=max(height, 0.5), rx=2, class_="first",
            )
        )  # fmt: skip
        if count:
            label = f"{share:.0f}%" if share >= 1 else "<1%"
            shapes.append(_text(x + _COLUMN / 2, _TALL - height + 10, label, small=True))
        name = f"≤{edges[index]}" if 1 < index < len(edges) else str(edges[min(index, 1)])
        if index >= len(edges):
            name = f">{edges[-1]}"
        shapes.append(_text(x + _COLUMN / 2, _TALL + 28, name, small=True))
    return _svg(title, shapes, max(_COLUMN * len(shown), 120.0), _TALL + 34)


def _svg(title: str, shapes: Sequence[Markup], width: float, height: float) -> Markup:
    return element(
        "svg", element("title", title), *shapes, viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=round(width), height=round(height), role="img",
    )  # fmt: skip


def _text(x: float, y: float, text: str, *, anchor: str = "middle", small: bool = False) -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor, class_="small" if small else None)
