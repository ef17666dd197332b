"""Protobuf's encoding, as far as weights are read and written without it.

field     tag, value        tag = varint(number · 8 + wire type)
varint    seven bits to a byte, the lowest first; all but the last have the eighth bit set
bytes and messages          varint(length), content

Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from google.protobuf.message import Message  # type: ignore[import-untyped]
from msgspec import Struct

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
"""Wire types: of integers, of numbers of 8 bytes, of bytes and messages, of numbers of 4 bytes."""

_WIDTHS = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10
_ONE_BYTE = 0x7F


class UnusualError(Exception):
    """The bytes are damaged, or not laid out as writers do it."""


class Field(Struct, frozen=True):
    """Where a field of a message is.

    Attributes:
        number: of the field.
        kind: its wire type.
        tag: where it begins.
        start: where its value begins.
        end: where its value, and the field, ends.
    """

    number: int
    kind: int
    tag: int
    start: int
    end: int


def number_of(owner: type[Message], field: str) -> int:
    """The number of a field of a message."""
    return int(owner.DESCRIPTOR.fields_by_name[field].number)


def opening(owner: type[Message], field: str, length: int) -> bytes:
    """What stands before the content of a field: its number and type, and how long it is."""
    return _varint(number_of(owner, field) << 3 | DELIMITED) + _varint(length)


def fields(
    content: memoryview, start: int, end: int, only: Collection[int], *, most: int
) -> Iterator[Field]:
    """Some fields of a message, in the order in which they are there.

    Args:
        content: what the message is in.
        start: where it begins.
        end: where it ends.
        only: the numbers of the fields that are wanted.
        most: how many fields there may be, others included.

    Raises:
        UnusualError: the fields do not end where the message does, or one is a group, or there are
            more than there may be.
    """
    at = start
    count = 0
    while at < end:
        count += 1
        if count > most:
            raise UnusualError
        tag = at
        key = content[at]
        at += 1
        if key > _ONE_BYTE:
            key, at = read_varint(content, tag, end)
        number, kind = key >> 3, key & 7
        begin = at
        if kind == DELIMITED:
            length, begin = read_varint(content, at, end)
            at = begin + length
        elif kind == VARINT:
            _, at = read_varint(content, at, end)
        elif kind in _WIDTHS:
            at += _WIDTHS[kind]
        else:
            raise UnusualError
        if at > end or not number:
            raise UnusualError
        if number in only:
            yield Field(number, kind, tag, begin, at)


def read_varint(content: memoryview, at: int, end: int) -> tuple[int, int]:
    """The number at a place, and where it ends.

    Raises:
        UnusualError: it is longer than a number can be.
    """
    if at < end and content[at] <= _ONE_BYTE:
        return content[at], at + 1
    value = shift = 0
    for place in range(at, min(end, at + _LONGEST_VARINT)):
        byte = content[place]
        value |= (byte & 0x7F) << shift
        if byte <= _ONE_BYTE:
            return value, place + 1
        shift += 7
    raise UnusualError


def _varint(number: int) -> bytes:
    content = bytearray()
    while number > _ONE_BYTE:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)
