"""The `format` keyword: jsonschema's checks, and our own where its are slow or loose.

A format that nobody here knows is accepted, as JSON Schema says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

import re2  # type: ignore[import-untyped]
from jsonschema import FormatChecker

from domain.schema_patterns import PatternRefused, compile_pattern

# RFC 3986 appendix A; RFC 3987 section 2.2 adds ucschar. RE2, so linear in the text.
_UCS = r"\x{A0}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFEF}\x{10000}-\x{EFFFF}"
_PRIVATE = r"\x{E000}-\x{F8FF}\x{F0000}-\x{10FFFF}"


def _uri_pattern(ucs: str, private: str, *, reference: bool) -> Any:
    char = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@{ucs}]|%[0-9A-Fa-f]{{2}})"
    no_colon = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=@{ucs}]|%[0-9A-Fa-f]{{2}})"
    user = rf"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:{ucs}]|%[0-9A-Fa-f]{{2}})*@)?"
    name = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;={ucs}]|%[0-9A-Fa-f]{{2}})*"
    future = r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+"
    host = rf"(?:\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|{future})\]|{name})"
    rooted = rf"//{user}{host}(?::[0-9]*)?(?:/{char}*)*|/(?:{char}+(?:/{char}*)*)?"
    path = rf"(?:{rooted}|{char}+(?:/{char}*)*|)"
    tail = rf"(?:\?(?:{char}|[/?{private}])*)?(?:#(?:{char}|[/?])*)?"
    absolute = rf"[A-Za-z][A-Za-z0-9+\-.]*:{path}{tail}"
    if not reference:
        return re2.compile(absolute)
    relative = rf"(?:{rooted}|{no_colon}+(?:/{char}*)*|){tail}"
    # Two copies of the group's name are not allowed in one pattern.
    return re2.compile(f"(?:{absolute}|{relative.replace('?P<ipv6>', '?P<ipv6_2>')})")


def _uri_check(ucs: str, private: str, *, reference: bool) -> Callable[[object], bool]:
    pattern = _uri_pattern(ucs, private, reference=reference)

    def is_uri(instance: object) -> bool:
        if not isinstance(instance, str):
            return True
        match = pattern.fullmatch(instance)
        if match is None:
            return False
        for address in match.groupdict().values():
            if address is not None:
                ipaddress.IPv6Address(address)
        return True

    return is_uri


# RFC 5321 section 4.1.2 (Mailbox), lengths of section 4.5.3.1; RFC 6531 adds UTF-8.
def _email_check(utf8: str) -> Callable[[object], bool]:
    atom = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\-{utf8}]+"
    quoted = rf'"(?:[ !#-\[\]-~{utf8}]|\\[ -~])*"'
    label = rf"[A-Za-z0-9{utf8}](?:[A-Za-z0-9\-{utf8}]*[A-Za-z0-9{utf8}])?"
    pattern = re2.compile(
        rf"(?P<local>{atom}(?:\.{atom})*|{quoted})@"
        rf"(?P<domain>{label}(?:\.{label})*|\[(?:(?P<ipv4>[0-9.]+)|IPv6:(?P<ipv6>[0-9A-Fa-f:.]+))\])"
    )

    def is_email(instance: object) -> bool:
        if not isinstance(instance, str):
            return True
        match = pattern.fullmatch(instance)
        if match is None or len(match["local"]) > 64 or len(match["domain"]) > 255:
            return False
        if match["ipv4"] is not None:
            ipaddress.IPv4Address(match["ipv4"])
        if match["ipv6"] is not None:
            ipaddress.IPv6Address(match["ipv6"])
        return True

    return is_email


def _is_regex(instance: object) -> bool:
    if isinstance(instance, str):
        compile_pattern(instance)
    return True


_OWN: Mapping[str, Callable[[object], bool]] = {
    "regex": _is_regex,
    "uri": _uri_check("", "", reference=False),
    "uri-reference": _uri_check("", "", reference=True),
    "iri": _uri_check(_UCS, _PRIVATE, reference=False),
    "iri-reference": _uri_check(_UCS, _PRIVATE, reference=True),
    "email": _email_check(""),
    "idn-email": _email_check(_UCS),
}
_IN_EVERY_DRAFT = {"regex", "uri", "email"}
_SINCE_DRAFT_6 = {"uri-reference"}


def format_checker(base: FormatChecker, *, draft: int) -> FormatChecker:
    """The formats of `base`, with our own in place of its where both have one.

    `draft` is 4, 6, 7, 2019 or 2020: a format counts from the draft that defined it.
    """
    checker = FormatChecker(formats=())
    for name, (check, raises) in base.checkers.items():
        expected = raises if isinstance(raises, tuple) else (raises,)
        # The parsers behind the checks fail in more ways than they say on odd text; to
        # fail on a text is to refuse it.
        checker.checkers[name] = (check, (*expected, ValueError, ArithmeticError, LookupError))
    for name, check in _OWN.items():
        if name in _IN_EVERY_DRAFT or (name in _SINCE_DRAFT_6 and draft >= 6) or draft >= 7:
            checker.checkers[name] = (check, (PatternRefused, ValueError))
    return checker
