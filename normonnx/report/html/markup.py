"""HTML by function call. Text is escaped where it enters, so no name of a model can be markup."""

from __future__ import annotations

import html
from typing import TypeAlias

from normonnx.report.names import safe_name

_LONGEST_SENTENCE = 400
_VOID = frozenset({"br", "hr", "meta", "col"})


class Markup(str):
    """Text that is HTML already; only `element` and constants of this package make it."""

    __slots__ = ()


Content: TypeAlias = "Markup | str | int | None"


def element(tag: str, *content: Content, **attributes: str | float | int | bool | None) -> Markup:
    """An element; ``class_`` is the attribute class, ``stroke_width`` is stroke-width.

    Args:
        tag: its name.
        content: markup as it is, anything else as text.
        attributes: None and False are left out, True stands without a value.
    """
    parts = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        written = name.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(f" {written}")
        else:
            number = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
            parts.append(f' {written}="{html.escape(str(number), quote=True)}"')
    head = f"<{tag}{''.join(parts)}>"
    if tag in _VOID:
        return Markup(head)
    return Markup(f"{head}{joined(*content)}</{tag}>")


def joined(*content: Content) -> Markup:
    """Several pieces one behind the other."""
    return Markup(
        "".join(
            piece if isinstance(piece, Markup) else html.escape(str(piece))
            for piece in content
            if piece is not None
        )
    )


def name(text: object, *, longest: int = 120) -> Markup:
    """A name from a model, as code that may be broken anywhere."""
    return element("code", safe_name(text, longest=longest))


def code(text: str) -> Markup:
    """The code of a rule, in one piece."""
    return element("span", text or "–", class_="code")


def sentence(text: object) -> str:
    """A sentence with names from a model in it, still to be escaped."""
    return safe_name(text, longest=_LONGEST_SENTENCE)


def table(titles: list[Content], rows: list[list[Content]], *, numeric: int = 0) -> Markup:
    """A table that scrolls by itself where it is too wide.

    Args:
        titles: of the columns.
        rows: as many cells each.
        numeric: how many columns at the end are numbers.
    """

    def kind(index: int) -> str | None:
        return "n" if index >= len(titles) - numeric else None

    head = [element("th", title, class_=kind(i), scope="col") for i, title in enumerate(titles)]
    body = [
        element("tr", *(element("td", cell, class_=kind(i)) for i, cell in enumerate(row)))
        for row in rows
    ]
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return element("div", whole, class_="scroll")
