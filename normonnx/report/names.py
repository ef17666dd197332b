"""Names from a model are foreign text: what they may do to a terminal or a log is nothing."""

from __future__ import annotations

import unicodedata

LONGEST = 120
_COMMANDS = ("::", "##[")
"""How a line begins that a CI runner takes for a command."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe_name(text: object, *, longest: int = LONGEST) -> str:
    r"""`text` on one line, with nothing invisible in it, and no longer than `longest`.

    Control characters, escapes, direction marks and unpaired surrogates become what Python would
    write for them (``\x1b``); a long text loses its middle.
    """
    plain = str(text)
    if len(plain) > longest:
        head = longest * 2 // 3
        plain = f"{plain[:head]}…{plain[head - longest + 1 :]}"
    if not (plain.isascii() and plain.isprintable()):
        plain = "".join(
            character.encode("unicode_escape").decode("ascii")
            if unicodedata.category(character) in _INVISIBLE
            else character
            for character in plain
        )
    if plain.startswith(_COMMANDS):
        plain = f"\\x{ord(plain[0]):02x}{plain[1:]}"
    return plain
