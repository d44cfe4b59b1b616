"""Access tokens (JWT, RFC 7519 and RFC 9068) and refresh tokens (opaque).

Pure but for randomness: `now` always comes from the caller, and whether the session that
a token names has ended is for the caller to ask. Only HS256 is ever made or accepted, and
the key is the one that the token's `kid` names: a token cannot choose how it is checked.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

import jwt

ALGORITHM: Final = "HS256"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1, not a secret
ISSUER: Final = "config-guardian"
AUDIENCE: Final = "config-guardian/api"
ACCESS_TOKEN_LIFETIME: Final = timedelta(minutes=15)
CLOCK_SKEW: Final = timedelta(seconds=5)
"""How far another process's clock may be ahead of ours."""
MAX_TOKEN_CHARACTERS: Final = 4096
MIN_SECRET_BYTES: Final = 32

EMBEDDED_SECRET_KEY: Final = "embedded:only-for-a-laptop-never-for-a-service-that-others-reach"  # noqa: S105
"""What signs where nothing is configured. Public, so refuse_weak_keys rejects it elsewhere."""

_KEY_WITH_ID = re.compile(r"([A-Za-z0-9_-]{1,32}):(.*)", re.DOTALL)
_WEAK_PARTS = ("changeme", "change-me", "change_me", "secretkey", "secret-key", "your-secret")


class SecretKeyUnusable(ValueError):
    """The configured secret key cannot be used. `str()` never contains the secret."""


class TokenRefusal(Enum):
    """Why a token was refused. For logs and metrics; the caller learns only that it was."""

    MALFORMED = "malformed"
    WRONG_ALGORITHM = "wrong-algorithm"
    WRONG_TYPE = "wrong-type"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_AUDIENCE = "wrong-audience"
    BAD_CLAIMS = "bad-claims"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"


class TokenRefused(Exception):
    """The access token is not good. `reason` is for logs, never for the answer."""

    def __init__(self, reason: TokenRefusal) -> None:
        super().__init__(f"access token refused: {reason.value}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a good access token says."""

    user_id: str
    session_id: str
    """The family of refresh tokens that this token belongs to: signing out ends it."""
    password_generation: int
    """Counts the user's password changes: a token of an older generation is over."""
    token_id: str
    key_id: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """One HMAC key and the id under which tokens name it."""

    key_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id!r})"


class KeyRing:
    """One or more keys: the first signs, all verify, so a key is rotated in two deployments."""

    def __init__(self, keys: tuple[SigningKey, ...]) -> None:
        if not keys:
            raise SecretKeyUnusable("the secret key is empty")
        self._keys: Mapping[str, SigningKey] = {key.key_id: key for key in keys}
        if len(self._keys) != len(keys):
            raise SecretKeyUnusable("two secret keys have the same key id")
        self.signing_key = keys[0]

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read `GUARDIAN_SECRET_KEY`: `kid:secret` or a bare secret, several with commas.

        A bare secret's key id is derived from its hash. Each secret has at least 32 bytes
        (RFC 7518 section 3.2). Raises SecretKeyUnusable.
        """
        parts = [part.strip() for part in text.split(",")]
        return cls(tuple(_parse_key(part, number) for number, part in enumerate(parts, 1) if part))

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """All keys, the signing one first."""
        return tuple(self._keys.values())

    def find(self, key_id: object) -> SigningKey | None:
        """The key of this id, None for anything else that a token may hold there."""
        return self._keys.get(key_id) if isinstance(key_id, str) else None


def _parse_key(part: str, number: int) -> SigningKey:
    with_id = _KEY_WITH_ID.fullmatch(part)
    secret = (with_id[2] if with_id else part).encode()
    if len(secret) < MIN_SECRET_BYTES:
        raise SecretKeyUnusable(
            f"secret key number {number} has {len(secret)} bytes; {MIN_SECRET_BYTES} are needed"
        )
    digest = hashlib.sha256(b"config-guardian key id\0" + secret).hexdigest()
    return SigningKey(with_id[1] if with_id else digest[:12], secret)


def refuse_weak_keys(ring: KeyRing) -> None:
    """Raise SecretKeyUnusable if any key is public or guessable.

    To be called at start-up everywhere but in the embedded mode, for the verifying keys
    too: whoever knows one of them can sign.
    """
    public = {key.secret for key in KeyRing.parse(EMBEDDED_SECRET_KEY).keys}
    public.add(EMBEDDED_SECRET_KEY.encode())
    for key in ring.keys:
        text = key.secret.decode().lower()
        if key.secret in public:
            raise SecretKeyUnusable(
                f"key {key.key_id!r} is the built-in one, which everybody knows;"
                " set GUARDIAN_SECRET_KEY"
            )
        if len(set(text)) < 10 or any(part in text for part in _WEAK_PARTS):
            raise SecretKeyUnusable(
                f"key {key.key_id!r} is guessable; make one with `openssl rand -base64 48`"
            )


def issue_access_token(
    ring: KeyRing,
    *,
    user_id: str,
    session_id: str,
    password_generation: int,
    now: datetime,
    lifetime: timedelta = ACCESS_TOKEN_LIFETIME,
) -> str:
    """A signed access token for `user_id`, good from `now` (aware) for `lifetime`."""
    issued_at = _seconds(now)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user_id,
        "sid": session_id,
        "pwd": password_generation,
        "jti": secrets.token_urlsafe(16),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + int(lifetime.total_seconds()),
    }
    key = ring.signing_key
    headers = {"kid": key.key_id, "typ": TOKEN_TYPE}
    return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers=headers)


def verify_access_token(ring: KeyRing, token: str, *, now: datetime) -> AccessClaims:
    """What `token` says, if a key of the ring signed it and it is good at `now` (aware).

    Raises TokenRefused. The caller still has to check that the user exists, that the
    session has not ended and that `password_generation` is the user's current one.
    """
    key = _key_named_by(ring, token)
    try:
        claims = jwt.decode(
            token,
            key.secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={
                "require": ["iss", "aud", "sub", "sid", "pwd", "jti", "iat", "nbf", "exp"],
                "strict_aud": True,
                # The times are checked below, against `now` instead of the machine's clock.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "enforce_minimum_key_length": True,
            },
        )
    except jwt.InvalidSignatureError:
        raise TokenRefused(TokenRefusal.BAD_SIGNATURE) from None
    except jwt.InvalidIssuerError:
        raise TokenRefused(TokenRefusal.WRONG_ISSUER) from None
    except jwt.InvalidAudienceError:
        raise TokenRefused(TokenRefusal.WRONG_AUDIENCE) from None
    except jwt.DecodeError:
        raise TokenRefused(TokenRefusal.MALFORMED) from None
    except jwt.InvalidTokenError:
        raise TokenRefused(TokenRefusal.BAD_CLAIMS) from None
    return _checked_claims(claims, key.key_id, now)


def _key_named_by(ring: KeyRing, token: str) -> SigningKey:
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenRefused(TokenRefusal.MALFORMED)
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError):
        # ValueError: a lone surrogate in the text, which cannot even be encoded.
        raise TokenRefused(TokenRefusal.MALFORMED) from None
    if header.get("alg") != ALGORITHM:
        raise TokenRefused(TokenRefusal.WRONG_ALGORITHM)
    if header.get("typ") != TOKEN_TYPE:
        raise TokenRefused(TokenRefusal.WRONG_TYPE)
    key = ring.find(header.get("kid"))
    if key is None:
        raise TokenRefused(TokenRefusal.UNKNOWN_KEY)
    return key


def _checked_claims(claims: dict[str, Any], key_id: str, now: datetime) -> AccessClaims:
    texts = [claims["sub"], claims["sid"], claims["jti"]]
    numbers = [claims["pwd"], claims["iat"], claims["nbf"], claims["exp"]]
    if not all(isinstance(text, str) and text for text in texts):
        raise TokenRefused(TokenRefusal.BAD_CLAIMS)
    # `type`, because a JSON true would pass for the integer 1.
    if not all(type(number) is int and 0 <= number < 2**40 for number in numbers):
        raise TokenRefused(TokenRefusal.BAD_CLAIMS)
    moment, skew = _seconds(now), int(CLOCK_SKEW.total_seconds())
    if moment >= claims["exp"]:
        raise TokenRefused(TokenRefusal.EXPIRED)
    if max(claims["nbf"], claims["iat"]) > moment + skew:
        raise TokenRefused(TokenRefusal.NOT_YET_VALID)
    return AccessClaims(
        user_id=claims["sub"],
        session_id=claims["sid"],
        password_generation=claims["pwd"],
        token_id=claims["jti"],
        key_id=key_id,
        issued_at=datetime.fromtimestamp(claims["iat"], now.tzinfo),
        expires_at=datetime.fromtimestamp(claims["exp"], now.tzinfo),
    )


def _seconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("a naive datetime: token times are aware")
    return int(moment.timestamp())


REFRESH_TOKEN_PREFIX: Final = "cgr_"  # noqa: S105 - a public prefix, so that leaks are found


@dataclass(frozen=True, slots=True, repr=False)
class RefreshToken:
    """A fresh refresh token: `plain` goes to the client once, `hash` is what is stored."""

    plain: str
    hash: str

    def __repr__(self) -> str:
        return "RefreshToken(…)"


def new_refresh_token() -> RefreshToken:
    """256 random bits. Opaque: all that is known about it is in the row of its hash."""
    plain = REFRESH_TOKEN_PREFIX + secrets.token_urlsafe(32)
    return RefreshToken(plain, hash_refresh_token(plain))


def hash_refresh_token(plain: str) -> str:
    """SHA-256 in hex. A plain hash will do: 256 random bits cannot be guessed (no salt needed)."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def same_hash(one: str, other: str) -> bool:
    """Whether two hashes are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode(), other.encode())
