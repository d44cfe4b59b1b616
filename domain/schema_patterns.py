"""Regular expressions of JSON Schema: ECMA-262 in, linear time where possible.

A pattern is read once, as ECMA-262 defines it with the `u` flag (tolerant where published
schemas are sloppy), and written anew for RE2, which matches in linear time. What RE2 cannot
express (lookaround, back-references, counts above 1000) is written for Python's `re`, which
may take exponential time: whoever calls `search` does so under a deadline.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import re2  # type: ignore[import-untyped]

from domain.schema_pattern_classes import (
    DIGIT,
    NOT_LINE_END,
    SPACE,
    WORD,
    Piece,
    Ranges,
    Unsupported,
    char,
    complement,
    property_class,
    write_class,
)

MAX_PATTERN_CHARACTERS = 8192

_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False
_RE2_OPTIONS.never_capture = True

_COUNT = re.compile(r"\{(\d+)(,(\d+)?)?\}", re.ASCII)
MAX_COUNT_DIGITS = 9
"""More than any text is long, and a number that Python's engine takes."""
_GROUP_NAME = re.compile(r"P?<([A-Za-z_$][A-Za-z0-9_$]*)>", re.ASCII)
_BACK_NAME = re.compile(r"k<([A-Za-z_$][A-Za-z0-9_$]*)>", re.ASCII)
_HEX = {
    "x": re.compile(r"x([0-9A-Fa-f]{2})"),
    "u": re.compile(r"u(?:([0-9A-Fa-f]{4})|\{([0-9A-Fa-f]{1,6})\})"),
}
_CONTROLS = {"n": 10, "r": 13, "t": 9, "v": 11, "f": 12, "0": 0}
_SHORTHANDS: dict[str, Ranges] = {
    "d": DIGIT, "D": complement(DIGIT),
    "w": WORD, "W": complement(WORD),
    "s": SPACE, "S": complement(SPACE),
}  # fmt: skip


class PatternRefused(ValueError):
    """The text is no ECMA-262 regular expression, or none that can be run here."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern."""

    search: Callable[[str], bool]
    """Whether the pattern matches anywhere in the text."""
    is_linear: bool
    """False where the time may be exponential in the length of the text."""


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Pattern:
    """Read `source` and choose its engine. Raises PatternRefused."""
    if len(source) > MAX_PATTERN_CHARACTERS:
        raise PatternRefused(f"the pattern is longer than {MAX_PATTERN_CHARACTERS} characters")
    translation = _Translator(source).run()
    if translation.needs_backtracking is None:
        try:
            linear = re2.compile(translation.for_re2, _RE2_OPTIONS)
        except re2.error:
            pass  # Well-formed, so too large for RE2 (a count above 1000): Python may do it.
        else:
            return Pattern(lambda text: linear.search(text) is not None, is_linear=True)
    if translation.needs_re2 is not None:
        if translation.needs_backtracking is None:
            raise PatternRefused(f"{translation.needs_re2} is unknown, or the pattern too large")
        raise PatternRefused(
            f"{translation.needs_re2} cannot be combined with {translation.needs_backtracking}"
        )
    try:
        backtracking = re.compile(translation.for_python, re.ASCII)
    except (re.error, OverflowError) as error:
        # Well-formed but for a reference to no group; a look-behind that varies is no fault at all.
        raise PatternRefused(f"no engine here can run it: {error}") from None
    return Pattern(lambda text: backtracking.search(text) is not None, is_linear=False)


@dataclass(frozen=True, slots=True)
class _Translation:
    for_re2: str
    for_python: str
    needs_backtracking: str | None
    """The construct that RE2 does not have, None if there is none."""
    needs_re2: str | None
    """The construct that Python's engine does not have."""


def _if_set(group: str, reference: str) -> str:
    """For Python, whose reference to a group that took no part fails; ECMA-262's is empty."""
    return f"(?:(?({group}){reference}))"


class _Translator:
    """Reads one pattern from left to right and writes it for both engines at once."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._re2: list[str] = []
        self._python: list[str] = []
        self._open_groups: list[bool] = []
        """For each group that is open, whether it may be repeated (lookarounds may not)."""
        self._repeatable = False
        """Whether what was read last may be followed by a quantifier."""
        self._needs_backtracking: str | None = None
        self._needs_re2: str | None = None

    def run(self) -> _Translation:
        if self._source.startswith("(?i)"):
            # Not ECMA-262, but common in published schemas, and both engines agree on it.
            self._at = 4
            self._write("(?i)", "(?i)", repeatable=False)
        while self._at < len(self._source):
            self._read_one()
        if self._open_groups:
            raise self._refused("a group is not closed")
        return _Translation(
            "".join(self._re2), "".join(self._python), self._needs_backtracking, self._needs_re2
        )

    def _refused(self, detail: str) -> PatternRefused:
        return PatternRefused(f"not an ECMA-262 regular expression: {detail} (at {self._at})")

    def _write(self, for_re2: str, for_python: str, *, repeatable: bool) -> None:
        self._re2.append(for_re2)
        self._python.append(for_python)
        self._repeatable = repeatable

    def _write_class(
        self, ranges: Ranges, pieces: tuple[Piece, ...] = (), *, negated: bool = False
    ) -> None:
        for_re2, for_python = write_class(ranges, pieces, negated=negated)
        if pieces:
            self._needs_re2 = f"\\{pieces[0].written}"
        self._write(for_re2, for_python, repeatable=True)

    def _take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        match = expression.match(self._source, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def _read_one(self) -> None:
        symbol = self._source[self._at]
        if symbol in "*+?" or (symbol == "{" and _COUNT.match(self._source, self._at)):
            self._read_quantifier()
        elif symbol == "\\":
            self._at += 1
            self._read_escape()
        elif symbol == "[":
            self._at += 1
            self._read_class()
        elif symbol == "(":
            self._at += 1
            self._read_group_start()
        else:
            self._at += 1
            self._read_symbol(symbol)

    def _read_symbol(self, symbol: str) -> None:
        if symbol == ")":
            if not self._open_groups:
                raise self._refused("a bracket that nothing opened")
            self._write(")", ")", repeatable=self._open_groups.pop())
        elif symbol == ".":
            self._write_class(NOT_LINE_END)
        elif symbol == "$":
            # ECMA-262 without the m flag: the very end, not before a last line feed.
            self._write(r"\z", r"\Z", repeatable=False)
        elif symbol in "^|":
            self._write(symbol, symbol, repeatable=False)
        else:
            self._write(*char(ord(symbol)), repeatable=True)

    def _read_quantifier(self) -> None:
        if not self._repeatable:
            raise self._refused("nothing to repeat")
        count = self._take(_COUNT)
        if count is None:
            quantifier = self._source[self._at]
            self._at += 1
        else:
            quantifier = count[0]
            if max(len(count[1]), len(count[3] or "")) > MAX_COUNT_DIGITS:
                raise PatternRefused(f"a count has {MAX_COUNT_DIGITS} digits at most")
            if count[3] is not None and int(count[3]) < int(count[1]):
                raise self._refused("a count whose end is below its start")
        if self._source.startswith("?", self._at):
            self._at += 1
            quantifier += "?"
        self._write(quantifier, quantifier, repeatable=False)

    def _read_group_start(self) -> None:
        if not self._source.startswith("?", self._at):
            self._open("(?:", "(")
            return
        self._at += 1
        for written in (":", "i:", "-i:"):
            if self._source.startswith(written, self._at):
                self._at += len(written)
                self._open(f"(?{written}", f"(?{written}")
                return
        for written in ("=", "!", "<=", "<!"):
            if self._source.startswith(written, self._at):
                self._at += len(written)
                self._needs_backtracking = f"lookaround ((?{written}…))"
                self._open("", f"(?{written}", repeatable=False)
                return
        if name := self._take(_GROUP_NAME):
            self._open("(?:", f"(?P<{name[1].replace('$', '_S_')}>")
            return
        raise self._refused("a kind of group that ECMA-262 does not have")

    def _open(self, for_re2: str, for_python: str, *, repeatable: bool = True) -> None:
        self._open_groups.append(repeatable)
        self._write(for_re2, for_python, repeatable=False)

    def _read_escape(self) -> None:
        if self._at >= len(self._source):
            raise self._refused("it ends with a backslash")
        symbol = self._source[self._at]
        if symbol in "bB":
            self._at += 1
            # In an empty text, Pythons before 3.14 find no \B.
            for_python = r"\b" if symbol == "b" else r"(?:\B|\A\Z)"
            self._write(f"\\{symbol}", for_python, repeatable=False)
        elif symbol in "123456789":
            digits = self._take(re.compile("[0-9]{1,2}"))
            assert digits is not None
            self._needs_backtracking = f"a back-reference (\\{digits[0]})"
            self._write("", _if_set(digits[0], f"\\{digits[0]}"), repeatable=True)
        elif name := self._take(_BACK_NAME):
            self._needs_backtracking = f"a back-reference (\\{name[0]})"
            group = name[1].replace("$", "_S_")
            self._write("", _if_set(group, f"(?P={group})"), repeatable=True)
        else:
            atom = self._class_escape()
            if isinstance(atom, int):
                self._write(*char(atom), repeatable=True)
            elif isinstance(atom, Piece):
                self._write_class((), (atom,))
            else:
                self._write_class(atom)

    def _class_escape(self) -> int | Ranges | Piece:
        """What a backslash means inside and outside a class: one character or a set of them."""
        symbol = self._source[self._at]
        if symbol in _SHORTHANDS:
            self._at += 1
            return _SHORTHANDS[symbol]
        if symbol in "pP":
            return self._property()
        if symbol in _CONTROLS:
            self._at += 1
            return _CONTROLS[symbol]
        if symbol == "c" and re.match("[A-Za-z]", self._source[self._at + 1 :]):
            self._at += 2
            return ord(self._source[self._at - 1]) % 32
        if symbol in _HEX and (code := self._take(_HEX[symbol])):
            return self._code_point(next(digits for digits in code.groups() if digits))
        if symbol.isascii() and symbol.isalnum():
            raise self._refused(f"\\{symbol} means nothing in ECMA-262")
        self._at += 1
        return ord(symbol)

    def _code_point(self, digits: str) -> int:
        code = int(digits, 16)
        if 0xD800 <= code < 0xDC00 and self._source.startswith("\\", self._at):
            low = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})").match(self._source, self._at)
            if low is not None:
                self._at = low.end()
                return 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        if 0xD800 <= code < 0xE000:
            raise self._refused("half of a surrogate pair")
        if code > 0x10FFFF:
            raise self._refused("a code point beyond Unicode")
        return code

    def _property(self) -> Ranges | Piece:
        match = self._take(re.compile(r"[pP]\{([A-Za-z0-9_=]{1,64})\}"))
        if match is None:
            raise self._refused("a Unicode property is written \\p{…}")
        try:
            return property_class(match[1], negated=match[0][0] == "P")
        except Unsupported as error:
            raise PatternRefused(str(error)) from None

    def _read_class(self) -> None:
        negated = self._source.startswith("^", self._at)
        self._at += negated
        ranges: list[tuple[int, int]] = []
        pieces: list[Piece] = []
        while True:
            if self._at >= len(self._source):
                raise self._refused("a class is not closed")
            if self._source[self._at] == "]":
                self._at += 1
                break
            start = self._class_atom()
            if isinstance(start, Piece):
                pieces.append(start)
            elif not isinstance(start, int):
                ranges.extend(start)
            else:
                ranges.append((start, self._range_end(start)))
        self._write_class(tuple(ranges), tuple(pieces), negated=negated)

    def _class_atom(self) -> int | Ranges | Piece:
        symbol = self._source[self._at]
        self._at += 1
        if symbol != "\\":
            return ord(symbol)
        if self._at >= len(self._source):
            raise self._refused("it ends with a backslash")
        if self._source[self._at] == "b":
            self._at += 1
            return 8
        return self._class_escape()

    def _range_end(self, start: int) -> int:
        """The end of a range that begins with `start`; `start` itself where there is none.

        A hyphen beside a set, as in the common `[\\w-.]`, is a hyphen (ECMA-262 annex B).
        """
        rest = self._source[self._at : self._at + 3]
        if not rest.startswith("-") or rest[1:2] in ("", "]") or re.match(r"-\\[dDwWsSpP]", rest):
            return start
        self._at += 1
        end = self._class_atom()
        if not isinstance(end, int) or end < start:
            raise self._refused("a range whose end is below its start")
        return end
