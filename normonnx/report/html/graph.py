"""A small graph as SVG: layers from top to bottom, edges that go round the boxes between.

Layer by longest path; an edge over several layers gets a place in each of them; within a layer the
order follows the mean of the neighbours, swept down and up a few times (Sugiyama's method).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct, field

from normonnx.drawing import Drawing
from normonnx.report.html.markup import Markup, element, joined
from normonnx.report.names import safe_name

_HEIGHT = 40.0
_VALUE_HEIGHT = 24.0
_GAP_X = 18.0
_GAP_Y = 26.0
_LANE = 14.0
_MARGIN = 8.0
_SWEEPS = 6
_LONGEST_NAME = 30
_PER_CHARACTER = 7.4
_PER_SMALL = 5.8


class _Place(Struct):
    """A box, or the place of an edge in a layer that it passes."""

    layer: int
    width: float
    height: float
    box: int | None
    x: float = 0.0
    y: float = 0.0
    before: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)


def draw(drawing: Drawing, title: str, *, is_new: bool) -> Markup:
    """The graph as an ``svg`` element.

    Args:
        drawing: the graph; it has no cycles.
        title: what it shows, for those who do not see it.
        is_new: whether it is in the colour of what comes.
    """
    if not drawing.boxes:
        return element("p", "nothing: the nodes are gone", class_="soft")
    places, routes = _placed(drawing)
    layers = _ordered(places)
    width = _across(places, layers)
    height = _down(places, layers)
    shapes: list[Markup] = [_edge([places[i] for i in route]) for route in routes]
    shapes += [_box(drawing, place) for place in places if place.box is not None]
    return element(
        "svg",
        element("title", title),
        element("g", *shapes, class_="new" if is_new else None),
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=round(width),
        height=round(height),
        role="img",
    )


def _placed(drawing: Drawing) -> tuple[list[_Place], list[list[int]]]:
    """A place per box and per layer that an edge passes; and each edge as its places."""
    levels = _layers(len(drawing.boxes), drawing.edges)
    places = []
    for number, box in enumerate(drawing.boxes):
        lines = [len(safe_name(box.title)) * _PER_CHARACTER]
        lines += [len(_short(text)) * _PER_SMALL for text in (box.name, box.note)]
        if box.kind == "value":
            lines = [len(_short(box.title)) * _PER_SMALL]
        tall = _VALUE_HEIGHT if box.kind == "value" else _HEIGHT + (12 if box.note else 0)
        places.append(_Place(levels[number], max(lines) + 20, tall, number))
    routes = []
    for start, end in drawing.edges:
        route = [start]
        for layer in range(levels[start] + 1, levels[end]):
            places.append(_Place(layer, _LANE, 0.0, None))
            route.append(len(places) - 1)
        route.append(end)
        routes.append(route)
        for one, other in pairwise(route):
            places[one].behind.append(other)
            places[other].before.append(one)
    return places, routes


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    levels = [0] * count
    for _ in range(count):
        for start, end in edges:
            levels[end] = max(levels[end], levels[start] + 1)
    # What enters stands right above whoever reads it first.
    for node in range(count):
        if not any(end == node for _, end in edges):
            readers = [levels[end] for start, end in edges if start == node]
            levels[node] = min(readers, default=1) - 1
    return levels


def _ordered(places: list[_Place]) -> list[list[int]]:
    layers: list[list[int]] = [[] for _ in range(max(p.layer for p in places) + 1)]
    for number, place in enumerate(places):
        layers[place.layer].append(number)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            rank = {n: i / max(1, len(row) - 1) for row in layers for i, n in enumerate(row)}

            def middle(number: int, down: bool = down, rank: dict[int, float] = rank) -> float:
                near = places[number].before if down else places[number].behind
                return sum(rank[n] for n in near) / len(near) if near else rank[number]

            layer.sort(key=middle)
    return layers


def _across(places: list[_Place], layers: list[list[int]]) -> float:
    """Give every place its x: each layer centred, then drawn towards its neighbours."""
    widths = [sum(places[n].width + _GAP_X for n in layer) - _GAP_X for layer in layers]
    width = max(widths) + 2 * _MARGIN
    for layer, own in zip(layers, widths, strict=True):
        x = (width - own) / 2
        for number in layer:
            places[number].x = x + places[number].width / 2
            x += places[number].width + _GAP_X
    for _ in range(_SWEEPS):
        for layer in layers:
            _pulled(places, layer, width)
    return width


def _pulled(places: list[_Place], layer: list[int], width: float) -> None:
    for index, number in enumerate(layer):
        place = places[number]
        near = [*place.before, *place.behind]
        if not near:
            continue
        wish = sum(places[n].x for n in near) / len(near)
        low, high = _MARGIN + place.width / 2, width - _MARGIN - place.width / 2
        if index:
            left = places[layer[index - 1]]
            low = left.x + left.width / 2 + _GAP_X + place.width / 2
        if index + 1 < len(layer):
            right = places[layer[index + 1]]
            high = right.x - right.width / 2 - _GAP_X - place.width / 2
        if low <= high:
            place.x = min(max(wish, low), high)


def _down(places: list[_Place], layers: list[list[int]]) -> float:
    y = _MARGIN
    for layer in layers:
        tall = max(places[n].height for n in layer)
        for number in layer:
            places[number].y = y + tall / 2
        y += tall + _GAP_Y
    return y - _GAP_Y + _MARGIN


def _edge(route: list[_Place]) -> Markup:
    """A curve through the places, with an arrow's head at its end."""
    first, last = route[0], route[-1]
    points = [(first.x, first.y + first.height / 2)]
    points += [(place.x, place.y) for place in route[1:-1]]
    points.append((last.x, last.y - last.height / 2 - 5))
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (y0 + y1) / 2
        path += f"C{x0:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y1:.1f}"
    x, y = points[-1]
    head = f"M{x - 4:.1f} {y - 2:.1f}L{x:.1f} {y + 5:.1f}L{x + 4:.1f} {y - 2:.1f}Z"
    return joined(element("path", d=path, class_="edge"), element("path", d=head, class_="head"))


def _box(drawing: Drawing, place: _Place) -> Markup:
    assert place.box is not None
    box = drawing.boxes[place.box]
    style = {"node": "box", "value": "value", "more": "more"}[box.kind]
    left, top = place.x - place.width / 2, place.y - place.height / 2
    frame = element(
        "rect", x=left, y=top, width=place.width, height=place.height,
        rx=12 if box.kind == "value" else 6, class_=style,
    )  # fmt: skip
    whole = element("title", " ".join(filter(None, (safe_name(box.title), safe_name(box.name)))))
    if box.kind == "value":
        return element("g", whole, frame, _text(place.x, place.y + 4, _short(box.title), "small"))
    lines = [(safe_name(box.title), "t"), (_short(box.name), "small"), (_short(box.note), "small")]
    lines = [line for line in lines if line[0]]
    y = place.y - (len(lines) - 1) * 7 + 4
    texts = [_text(place.x, y + 14 * i, text, style) for i, (text, style) in enumerate(lines)]
    return element("g", whole, frame, *texts)


def _text(x: float, y: float, text: str, style: str) -> Markup:
    return element("text", text, x=x, y=y, text_anchor="middle", class_=style)


def _short(text: str) -> str:
    """The end of a long name, which tells more than its beginning."""
    plain = safe_name(text)
    return plain if len(plain) <= _LONGEST_NAME else f"…{plain[1 - _LONGEST_NAME :]}"
