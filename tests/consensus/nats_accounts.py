"""An operator, an account and its user, as `nsc` makes them: JWTs that are signed with nkeys.

What is in them: github.com/nats-io/jwt, version 2.
"""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

import nkeys

_OPERATOR, _ACCOUNT, _USER = (
    nkeys.PREFIX_BYTE_OPERATOR,
    nkeys.PREFIX_BYTE_ACCOUNT,
    nkeys.PREFIX_BYTE_USER,
)
_NO_STORAGE = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
_UNLIMITED = _NO_STORAGE | dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class Key:
    """A key pair of one of the three kinds."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(os.urandom(32), prefix)
        self._pair = nkeys.from_seed(self.seed)
        self.public: str = self._pair.public_key.decode()

    def signed(self, subject: Key, name: str, nats: dict[str, Any]) -> str:
        """A JWT about `subject`."""
        claims = {
            "iss": self.public,
            "sub": subject.public,
            "iat": int(time.time()),
            "jti": name,
            "name": name,
            "nats": {"version": 2, **nats},
        }
        text = ".".join(map(_encoded, ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)))
        return f"{text}.{_base64(self._pair.sign(text.encode()))}"


class Operator:
    """An operator with an account that may use JetStream, and one of the servers themselves."""

    def __init__(self) -> None:
        self._operator, self._account, self._system = Key(_OPERATOR), Key(_ACCOUNT), Key(_ACCOUNT)

    @property
    def config(self) -> dict[str, Any]:
        """What a server needs to know of it."""
        system = self._system.public
        return {
            "operator": self._operator.signed(
                self._operator, "O", {"type": "operator", "system_account": system}
            ),
            "resolver": "MEMORY",
            "resolver_preload": {
                self._account.public: self._about_account(self._account, _UNLIMITED),
                system: self._about_account(self._system, _NO_STORAGE),
            },
            "system_account": system,
        }

    def _about_account(self, account: Key, limits: dict[str, int]) -> str:
        rights = {"type": "account", "limits": {**limits, "wildcards": True}}
        return self._operator.signed(account, "A", rights)

    def credentials(self) -> str:
        """The file of a new user."""
        user = Key(_USER)
        rights = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
        jwt = self._account.signed(user, "U", rights)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )


def _encoded(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
