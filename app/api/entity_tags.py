"""Entity tags (RFC 9110 section 8.8.3): a version in quotes, and the lists of them in headers."""

from __future__ import annotations

import re

from app.errors import InvalidParameter

_ETAG = r'(?:W/)?"([!\x23-\x7e\x80-\U0010ffff]*)"'
_OURS = re.compile(r'"[0-9]{1,19}"', re.ASCII)
_ETAGS = re.compile(rf"[ \t]*(?:{_ETAG}[ \t]*)?(?:,[ \t]*(?:{_ETAG}[ \t]*)?)*")


def etag(version: int) -> str:
    """A config's entity tag: its version in quotes."""
    return f'"{version}"'


def parse_etags(name: str, header: str) -> list[int]:
    """The versions in an If-Match or If-None-Match header (RFC 9110 section 13.1).

    A list may have empty members, and tags that are not ours (`"3-gzip"`, from a proxy): no
    version has those.
    """
    if _OURS.fullmatch(header):  # as nearly all are
        return [int(header[1:-1])]
    tags = re.findall(_ETAG, header)
    if not tags or not _ETAGS.fullmatch(header):
        raise InvalidParameter(name, 'must be * or a version in quotes, as in "3"')
    return [int(tag) for tag in tags if re.fullmatch(r"[0-9]{1,19}", tag, re.ASCII)]
