"""Sets of characters, and how RE2 and Python's `re` write them. Pure data and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Ranges = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points."""

LAST: Final = 0x10FFFF

DIGIT: Final[Ranges] = ((0x30, 0x39),)
WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Final[Ranges] = (
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
    (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
"""ECMA-262: WhiteSpace and LineTerminator."""

_CATEGORIES = {
    "Letter": "L", "Cased_Letter": "LC", "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll",
    "Titlecase_Letter": "Lt", "Modifier_Letter": "Lm", "Other_Letter": "Lo",
    "Mark": "M", "Combining_Mark": "M", "Nonspacing_Mark": "Mn", "Spacing_Mark": "Mc",
    "Enclosing_Mark": "Me", "Number": "N", "Decimal_Number": "Nd", "digit": "Nd",
    "Letter_Number": "Nl", "Other_Number": "No", "Symbol": "S", "Math_Symbol": "Sm",
    "Currency_Symbol": "Sc", "Modifier_Symbol": "Sk", "Other_Symbol": "So",
    "Punctuation": "P", "punct": "P", "Connector_Punctuation": "Pc", "Dash_Punctuation": "Pd",
    "Open_Punctuation": "Ps", "Close_Punctuation": "Pe", "Initial_Punctuation": "Pi",
    "Final_Punctuation": "Pf", "Other_Punctuation": "Po", "Separator": "Z",
    "Space_Separator": "Zs", "Line_Separator": "Zl", "Paragraph_Separator": "Zp",
    "Other": "C", "Control": "Cc", "cntrl": "Cc", "Format": "Cf", "Private_Use": "Co",
}  # fmt: skip
_SHORT_CATEGORIES = set(_CATEGORIES.values()) - {"LC", "C"}


class Unsupported(ValueError):
    """A Unicode property that neither engine has."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a class that only RE2 can write: a Unicode property."""

    written: str
    """As in `p{Lu}`, without the backslash."""


def complement(ranges: Ranges) -> Ranges:
    """Every code point outside `ranges`."""
    outside, at = [], 0
    for start, end in _merged(ranges):
        if start > at:
            outside.append((at, start - 1))
        at = end + 1
    if at <= LAST:
        outside.append((at, LAST))
    return tuple(outside)


def _merged(ranges: Ranges) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


NOT_LINE_END: Final[Ranges] = complement(((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)))
"""What ECMA-262's dot matches."""


def char(code: int) -> tuple[str, str]:
    """One character for RE2 and for Python, never a symbol with a meaning."""
    if code < 128 and chr(code).isalnum():
        return chr(code), chr(code)
    return f"\\x{{{code:x}}}", f"\\U{code:08x}"


def write_class(ranges: Ranges, pieces: tuple[Piece, ...], *, negated: bool) -> tuple[str, str]:
    """A class for RE2 and for Python; Python's lacks the pieces."""
    merged = tuple(_merged(ranges))
    if not merged and not pieces:
        # ECMA-262: [] matches nothing and [^] everything; neither engine writes it so.
        merged, negated = ((0, LAST),), not negated
    for_re2, for_python = [], []
    for start, end in merged:
        (first_re2, first_python), (last_re2, last_python) = char(start), char(end)
        for_re2.append(first_re2 if start == end else f"{first_re2}-{last_re2}")
        for_python.append(first_python if start == end else f"{first_python}-{last_python}")
    for_re2.extend(f"\\{piece.written}" for piece in pieces)
    sign = "^" if negated else ""
    return f"[{sign}{''.join(for_re2)}]", f"[{sign}{''.join(for_python)}]"


def property_class(name: str, *, negated: bool) -> Ranges | Piece:
    """`\\p{name}`, or `\\P{name}` if negated. Raises Unsupported."""
    letter = "P" if negated else "p"
    kind, _, value = name.rpartition("=")
    if kind in ("", "General_Category", "gc"):
        if not kind and value == "Any":
            return () if negated else ((0, LAST),)
        if not kind and value == "ASCII":
            return complement(((0, 127),)) if negated else ((0, 127),)
        category = _CATEGORIES.get(value, value)
        if category in _SHORT_CATEGORIES:
            return Piece(f"{letter}{{{category}}}")
        if category == "LC":
            raise Unsupported("\\p{LC} is not supported; write [\\p{Lu}\\p{Ll}\\p{Lt}]")
    elif kind in ("Script", "sc", "Script_Extensions", "scx") and value[:1].isupper():
        return Piece(f"{letter}{{{value}}}")
    raise Unsupported(f"the Unicode property \\p{{{name}}} is not supported")
