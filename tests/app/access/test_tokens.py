"""Goal: only a token that a key of ours signed, for us, now, is ever believed."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from app.access.tokens import (
    AUDIENCE,
    EMBEDDED_SECRET_KEY,
    ISSUER,
    KeyRing,
    SecretKeyUnusable,
    TokenRefusal,
    TokenRefused,
    hash_refresh_token,
    issue_access_token,
    new_refresh_token,
    refuse_weak_keys,
    same_hash,
    verify_access_token,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OLD = "old:V7kq0ZP3mXw9sLr2TnYb6cJd8HfGa1Ue"
NEW = "new:q9WzRk4uXe7tYi2oPa5sDf8gHj1lZx3cVb6nMm0"
RING = KeyRing.parse(NEW)


def issue(ring: KeyRing = RING, now: datetime = NOW) -> str:
    return issue_access_token(
        ring, user_id="user-1", session_id="session-1", password_generation=3, now=now
    )


def good_claims() -> dict[str, Any]:
    claims = jwt.decode(issue(), options={"verify_signature": False})
    assert isinstance(claims, dict)
    return claims


def signed(
    claims: dict[str, Any],
    *,
    key: bytes = RING.signing_key.secret,
    algorithm: str = "HS256",
    **headers: Any,
) -> str:
    return jwt.encode(
        claims, key, algorithm=algorithm, headers={"kid": "new", "typ": "at+jwt"} | headers
    )


def refusal(token: str, ring: KeyRing = RING, now: datetime = NOW) -> TokenRefusal:
    with pytest.raises(TokenRefused) as refused:
        verify_access_token(ring, token, now=now)
    assert not token or token not in str(refused.value)
    return refused.value.reason


def test_a_token_says_who_it_is_for() -> None:
    claims = verify_access_token(RING, issue(), now=NOW)
    assert (claims.user_id, claims.session_id, claims.password_generation) == (
        "user-1", "session-1", 3,
    )  # fmt: skip
    assert claims.issued_at == NOW
    assert claims.expires_at == NOW + timedelta(minutes=15)
    assert claims.key_id == "new"
    assert verify_access_token(RING, issue(), now=NOW).token_id != claims.token_id


def test_a_secret_is_rotated_without_signing_anybody_out() -> None:
    before, during = KeyRing.parse(OLD), KeyRing.parse(f"{NEW}, {OLD}")
    token_of_before = issue(before)
    assert verify_access_token(during, token_of_before, now=NOW).key_id == "old"
    token_of_during = issue(during)
    assert jwt.get_unverified_header(token_of_during)["kid"] == "new"
    assert verify_access_token(RING, token_of_during, now=NOW).user_id == "user-1"
    assert refusal(token_of_before) is TokenRefusal.UNKNOWN_KEY


def unsigned(header: dict[str, Any]) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(good_claims())}."


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"]])
def test_a_token_cannot_say_that_it_needs_no_signature(name: object) -> None:
    token = unsigned({"alg": name, "typ": "at+jwt", "kid": "new"})
    assert refusal(token) in (TokenRefusal.WRONG_ALGORITHM, TokenRefusal.MALFORMED)


def test_a_token_cannot_choose_another_algorithm() -> None:
    assert (
        refusal(signed(good_claims(), key=b"k" * 64, algorithm="HS512"))
        is TokenRefusal.WRONG_ALGORITHM
    )
    relabelled = unsigned({"alg": "RS256", "typ": "at+jwt", "kid": "new"}) + "c2ln"
    assert refusal(relabelled) is TokenRefusal.WRONG_ALGORITHM


def test_a_token_cannot_choose_another_key() -> None:
    other = KeyRing.parse(OLD).signing_key.secret
    assert refusal(signed(good_claims(), key=other)) is TokenRefusal.BAD_SIGNATURE
    assert refusal(signed(good_claims(), key=other, kid="old")) is TokenRefusal.UNKNOWN_KEY
    for odd in ("", "../new", "new\x00"):
        assert refusal(signed(good_claims(), kid=odd)) is TokenRefusal.UNKNOWN_KEY
    both = KeyRing.parse(f"{NEW},{OLD}")
    assert refusal(signed(good_claims(), kid="old"), both) is TokenRefusal.BAD_SIGNATURE


def test_headers_that_bring_their_own_key_change_nothing() -> None:
    attacker = b"attacker-attacker-attacker-attacker"
    token = signed(
        good_claims(), key=attacker, jwk={"kty": "oct", "k": "x"}, jku="http://127.0.0.1/keys"
    )
    assert refusal(token) is TokenRefusal.BAD_SIGNATURE


def test_a_critical_extension_that_we_do_not_know_is_refused() -> None:
    assert refusal(signed(good_claims(), crit=["exp-ng"])) in (
        TokenRefusal.BAD_CLAIMS,
        TokenRefusal.MALFORMED,
    )


@pytest.mark.parametrize("kind", ["JWT", "jwt", "refresh", "", "AT+JWT "])
def test_another_type_of_token_is_refused(kind: str) -> None:
    assert refusal(signed(good_claims(), typ=kind)) is TokenRefusal.WRONG_TYPE


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "pwd", "jti", "iat", "nbf", "exp"])
def test_every_claim_is_needed(claim: str) -> None:
    claims = good_claims()
    del claims[claim]
    assert refusal(signed(claims)) in (
        TokenRefusal.BAD_CLAIMS,
        TokenRefusal.WRONG_AUDIENCE,
        TokenRefusal.WRONG_ISSUER,
    )


@pytest.mark.parametrize("audience", ["other", [AUDIENCE], [AUDIENCE, "other"], "", None])
def test_another_audience_is_refused(audience: object) -> None:
    claims = good_claims() | {"aud": audience}
    assert refusal(signed(claims)) in (TokenRefusal.WRONG_AUDIENCE, TokenRefusal.BAD_CLAIMS)


@pytest.mark.parametrize("issuer", ["other", ISSUER + "/"])
def test_another_issuer_is_refused(issuer: str) -> None:
    assert refusal(signed(good_claims() | {"iss": issuer})) is TokenRefusal.WRONG_ISSUER


@pytest.mark.parametrize(
    "change",
    [
        {"sub": ""}, {"sid": 3}, {"sid": ""}, {"pwd": "3"}, {"pwd": True}, {"pwd": -1},
        {"exp": "9999999999"}, {"exp": 1e12}, {"exp": True}, {"iat": None}, {"nbf": 2**63},
    ],
)  # fmt: skip
def test_claims_of_the_wrong_kind_are_refused(change: dict[str, Any]) -> None:
    assert refusal(signed(good_claims() | change)) in (
        TokenRefusal.BAD_CLAIMS,
        TokenRefusal.MALFORMED,
    )


def test_times_are_those_of_the_caller() -> None:
    token = issue()
    verify_access_token(RING, token, now=NOW + timedelta(minutes=15, seconds=-1))
    verify_access_token(RING, token, now=NOW - timedelta(seconds=5))
    assert refusal(token, now=NOW + timedelta(minutes=15)) is TokenRefusal.EXPIRED
    assert refusal(token, now=NOW - timedelta(seconds=6)) is TokenRefusal.NOT_YET_VALID
    with pytest.raises(ValueError, match="naive"):
        verify_access_token(RING, token, now=NOW.replace(tzinfo=None))


def spoil(at: int) -> Callable[[str], str]:
    return lambda token: token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


@pytest.mark.parametrize(
    "spoiled",
    [
        "", ".", "..", "a.b.c", "Bearer x", "é.é.é", "\ud800.a.b", "a" * 5000,
        base64.b64encode(b"\xff" * 9).decode() + ".e30.x",
    ],
)  # fmt: skip
def test_rubbish_is_malformed(spoiled: str) -> None:
    assert refusal(spoiled) in (TokenRefusal.MALFORMED, TokenRefusal.WRONG_ALGORITHM)


def test_every_changed_character_of_the_claims_breaks_the_signature() -> None:
    token = issue()
    head, claims, _ = token.split(".")
    for at in range(len(head) + 1, len(head) + 1 + len(claims), 7):
        assert refusal(spoil(at)(token)) is TokenRefusal.BAD_SIGNATURE


def test_a_bare_secret_gets_a_key_id_that_does_not_change() -> None:
    secret = OLD.removeprefix("old:")
    one, other = KeyRing.parse(secret), KeyRing.parse(secret)
    assert one.signing_key.key_id == other.signing_key.key_id
    assert secret[:4] not in one.signing_key.key_id
    assert verify_access_token(other, issue(one), now=NOW).user_id == "user-1"


@pytest.mark.parametrize(
    "text", ["", " , ", "short", "kid:short", "x" * 31, f"{NEW},{NEW}", f"{NEW},new:{'y' * 40}"]
)
def test_an_unusable_key_ring_is_refused(text: str) -> None:
    with pytest.raises(SecretKeyUnusable):
        KeyRing.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        EMBEDDED_SECRET_KEY,
        EMBEDDED_SECRET_KEY.partition(":")[2],
        "other:" + EMBEDDED_SECRET_KEY.partition(":")[2],
        "other:" + EMBEDDED_SECRET_KEY,
        f"{NEW},{EMBEDDED_SECRET_KEY}",
        "a" * 40,
        "0123456701234567012345670123456701234567",
        "please-CHANGEME-before-production-1234567890",
    ],
)
def test_a_known_or_guessable_key_never_leaves_the_embedded_mode(text: str) -> None:
    with pytest.raises(SecretKeyUnusable) as refused:
        refuse_weak_keys(KeyRing.parse(text))
    assert text.partition(":")[2] not in str(refused.value) or ":" not in text


def test_good_keys_pass_and_never_show_their_secret() -> None:
    ring = KeyRing.parse(f"{NEW},{OLD}")
    refuse_weak_keys(ring)
    assert NEW.partition(":")[2] not in repr(ring.keys)


def test_refresh_tokens_are_random_and_stored_as_a_hash() -> None:
    one, other = new_refresh_token(), new_refresh_token()
    assert one.plain != other.plain
    assert one.plain.startswith("cgr_")
    assert len(one.plain) == 4 + 43
    assert one.hash == hash_refresh_token(one.plain)
    assert one.plain not in repr(one)
    assert len(one.hash) == 64
    assert same_hash(one.hash, hash_refresh_token(one.plain))
    assert not same_hash(one.hash, other.hash)
    hash_refresh_token("\ud800")
