"""Dimensions: an int, or a product of symbols with an integer factor."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Product(Struct, frozen=True):
    """The dimension ``factor · symbols[0] · symbols[1] · …``, with at least one symbol."""

    factor: int
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        return "·".join((*([str(self.factor)] if self.factor != 1 else []), *self.symbols))


Dim = int | Product


def times(dims: Sequence[Dim]) -> Dim:
    """The product of dimensions."""
    factor = 1
    symbols: list[str] = []
    for dim in dims:
        if isinstance(dim, int):
            factor *= dim
        else:
            factor *= dim.factor
            symbols.extend(dim.symbols)
    return Product(factor, tuple(sorted(symbols))) if symbols and factor else factor


def divide(dividend: Dim, divisor: Dim) -> Dim | None:
    """The quotient where the division is exact for every value of the symbols, else None."""
    left = dividend if isinstance(dividend, Product) else Product(dividend, ())
    right = divisor if isinstance(divisor, Product) else Product(divisor, ())
    if right.factor == 0 or left.factor % right.factor:
        return None
    symbols = list(left.symbols)
    for symbol in right.symbols:
        if symbol not in symbols:
            return None
        symbols.remove(symbol)
    factor = left.factor // right.factor
    return Product(factor, tuple(symbols)) if symbols and factor else factor


def at_least_one(dim: Dim) -> Dim:
    """The larger of a size and 1, which is another than the size where that is 0."""
    return max(dim, 1) if isinstance(dim, int) else Product(1, (f"max(1, {dim})",))


Dims = tuple[Dim, ...]


def unknown(name: object, place: int) -> Dim:
    """A dimension of which nothing is known, a symbol of its own."""
    return Product(1, (f"?{name}:{place}",))
