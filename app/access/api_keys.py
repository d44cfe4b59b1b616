"""API keys: `cg_` + 43 base62 characters (256 random bits) + `_` + 6 of checksum.

The prefix lets secret scanners find a leaked key; the checksum lets the service refuse a
mistyped one without asking the database. Only the hash of a key is ever stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import Final, NamedTuple

API_KEY_PREFIX: Final = "cg_"
API_KEY_CHARACTERS: Final = 53

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY_DIGITS = 43  # 62**43 > 2**256
_CHECKSUM_DIGITS = 6  # 62**6 > 2**32
_FORM = re.compile(r"(cg_[0-9A-Za-z]{43})_([0-9A-Za-z]{6})", re.ASCII)


class ApiKey(NamedTuple):
    """`plain` is shown to its owner once; `hash` is stored."""

    plain: str
    hash: str

    def __repr__(self) -> str:
        return "ApiKey(…)"


def generate_api_key() -> ApiKey:
    """A new key and its hash, from the system's source of randomness."""
    stem = API_KEY_PREFIX + _base62(secrets.randbits(256), _BODY_DIGITS)
    plain = f"{stem}_{_checksum(stem)}"
    return ApiKey(plain, hash_api_key(plain))


def looks_like_api_key(text: str) -> bool:
    """Whether the form and the checksum are right. Says nothing about validity."""
    form = _FORM.fullmatch(text)
    return form is not None and _checksum(form[1]) == form[2]


def hash_api_key(plain: str) -> str:
    """SHA-256 in hex. No salt: 256 random bits cannot be guessed, and the hash is looked up."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def matches_hash(plain: str, stored_hash: str) -> bool:
    """Whether `plain` is the key of `stored_hash`, compared in constant time."""
    return hmac.compare_digest(hash_api_key(plain).encode(), stored_hash.encode())


def _checksum(stem: str) -> str:
    return _base62(zlib.crc32(stem.encode()), _CHECKSUM_DIGITS)


def _base62(number: int, digits: int) -> str:
    reversed_digits = []
    for _ in range(digits):
        number, digit = divmod(number, 62)
        reversed_digits.append(_DIGITS[digit])
    if number:
        raise ValueError(f"the number needs more than {digits} digits")
    return "".join(reversed(reversed_digits))
