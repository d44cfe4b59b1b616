"""A user's NATS credentials, JWT and seed, in a file that may be replaced while we run.

nats-py reads such a file by itself, but not one that is half written: it looks for a missing JWT
for ever, which holds the event loop, and its reconnecting dies of a seed that is none. Must
never put anything of the file into a text.
"""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path
from typing import Final

import nats.errors

from consensus.log import AccessUnusable

_JWT: Final = re.compile(rb"BEGIN NATS USER JWT-*\s+([\w.-]+)\s")
_SEED: Final = re.compile(rb"BEGIN USER NKEY SEED-*\s+([A-Z2-7]+)\s")


class CredentialsUnusable(nats.errors.Error):
    """The file cannot be used now. The client tries again, as with a server that is away."""


class Credentials:
    """Reads the file anew for each connection, so that a new one needs no restart."""

    def __init__(self, file: Path) -> None:
        """Raises AccessUnusable unless the file can be used now."""
        self._file = file
        if importlib.util.find_spec("nkeys") is None:
            raise AccessUnusable(
                "credentials need the Python package nkeys, which is not installed"
            )
        try:
            self.jwt()
            self.sign("")
        except CredentialsUnusable as error:
            raise AccessUnusable(str(error)) from error

    def jwt(self) -> bytearray:
        """nats-py's `user_jwt_cb`. Raises CredentialsUnusable."""
        return bytearray(self._find(_JWT))

    def sign(self, nonce: str) -> bytes:
        """nats-py's `signature_cb`: the signature in base64. Raises CredentialsUnusable."""
        import nkeys

        try:
            pair = nkeys.from_seed(bytearray(self._find(_SEED)))
        except (nkeys.NkeysError, ValueError) as error:
            raise CredentialsUnusable(f"{self._file} holds a seed that is none") from error
        signature = base64.b64encode(pair.sign(nonce.encode()))
        pair.wipe()
        return signature

    def _find(self, part: re.Pattern[bytes]) -> bytes:
        try:
            found = part.search(self._file.read_bytes())
        except OSError as error:
            raise CredentialsUnusable(f"{self._file} cannot be read: {error.strerror}") from error
        if found is None:
            raise CredentialsUnusable(
                f"{self._file} holds no NATS credentials (a user's JWT and seed)"
            )
        return found[1]
