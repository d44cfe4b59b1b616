"""Goal: patterns mean what ECMA-262 says, in linear time wherever that is possible."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.schema_patterns import PatternRefused, compile_pattern


@pytest.mark.parametrize(
    ("source", "good", "bad"),
    [
        ("^a$", "a", "a\n"),
        (r"^\d+$", "42", "\u0664\u0662"),
        (r"^\w$", "_", "é"),
        (r"^\s$", "\ufeff", "\u180e"),
        (r"^\S$", "a", "\u2003"),
        (r"^[^\S\n]$", " ", "\n"),
        (r"^\s$", "\u2029", "\u200b"),
        ("^.$", "é", "\u2028"),
        ("^.$", "\u0085", "\r"),
        (r"^[\w-.]+$", "a-b.c", "a b"),
        (r"^\p{Letter}cole$", "école", "1cole"),
        (r"^\P{Lu}$", "a", "A"),
        (r"^\p{ASCII}$", "a", "é"),
        (r"^\P{ASCII}$", "é", "a"),
        (r"\P{Any}", "never", "never"),
        ("^[a-zc]$", "y", "A"),
        ("^[a-a]$", "a", "b"),
        ("^[c-za-d0]$", "b", "1"),
        (r"^[\p{L}\d]+$", "é1", "-"),
        (r"^\p{Script=Greek}$", "α", "a"),
        (r"^\ud83d\udc32*$", "🐲🐲", "🐉"),
        (r"^\u{1F432}$", "🐲", "x"),
        ("^🐲{2}$", "🐲🐲", "🐲"),
        (r"^\cA\x41\/\-$", "\x01A/-", "A/-"),
        ("^[^]$", "\n", ""),
        ("^a{,5}$", "a{,5}", "aaa"),
        ("^[]a]$", "never", "never"),
        (r"^[\]\b]$", "\b", "b"),
        ("^(?<year>[0-9]{4})$", "2024", "24"),
        ("^a+?$", "aaa", "b"),
        ("^(?:a|b|)$", "", "c"),
        ("(?i)^abc$", "ABC", "abd"),
    ],
)
def test_these_run_in_linear_time(source: str, good: str, bad: str) -> None:
    pattern = compile_pattern(source)
    assert pattern.is_linear
    if good != bad:
        assert pattern.search(good)
    assert not pattern.search(bad)


@pytest.mark.parametrize(
    ("source", "good", "bad"),
    [
        ("^(?!admin$)[a-z]+$", "user", "admin"),
        ("^(?=.*[A-Z])(?=.*[0-9]).{4,}$", "aaA1", "aaaa"),
        ("^(?!admin$)[a-z]+$", "user", "user\n"),
        (r"(?=a)\ba", "éa", "ba"),
        (r"^(a|b)\1$", "aa", "ab"),
        (r"^(?<q>['x])y\k<q>$", "xyx", "xy'"),
        ("(?<!a)b$", "cb", "ab"),
        ("^a{1500}$", "a" * 1500, "a" * 1499 + "\n"),
        ("^a{1,1000000}$", "aa", "a{1,1000000}"),
        (r"^(?=)\B", "", "a"),
        # A group that took no part is referred to by nothing (ECMA-262, BackreferenceMatcher).
        (r"^(')?x\1$", "x", "'x"),
        (r"^(?:(?<q>')|=)x\k<q>$", "=x", "'x"),
    ],
)
def test_these_need_the_backtracking_engine(source: str, good: str, bad: str) -> None:
    pattern = compile_pattern(source)
    assert not pattern.is_linear
    assert pattern.search(good)
    assert not pattern.search(bad)


@pytest.mark.parametrize(
    "source",
    [
        "(", "a)", "[a", "[z-a]", "*a", "a**", "a++", "a{2}{3}", "a{5,2}", "\\", r"\a", r"\Z",
        r"\A",
        r"\e", r"\p{Foo}", r"\pL", r"\p{Script=Nowhere}", r"(?=\p{L})", r"(?=[\p{L}0])",
        "(?=a)*", "(?<!a)+", "(?P=a)", r"\ud800",
        r"\2(a)",
        "a{10000000000}", "a{1,1" + "0" * 5000 + "}",
        r"\u{110000}", "(?<a>x)(?<a>y)\\k<a>", "(?>a)", "(?(1)a)", "(?#c)", "x" * 9000, "(?<=a*)b",
    ],
)  # fmt: skip
def test_these_are_refused(source: str) -> None:
    with pytest.raises(PatternRefused):
        compile_pattern(source)


def test_what_no_engine_can_run_is_not_called_malformed() -> None:
    with pytest.raises(PatternRefused, match="look-behind") as refused:
        compile_pattern("(?<=a*)b")
    assert "not an ECMA-262" not in str(refused.value)


@pytest.mark.parametrize("source", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*x$", "^([a-z]+)*!$"])
def test_the_classic_bombs_are_harmless(source: str) -> None:
    """Goal: linear, shown by a text for which backtracking would outlast the universe."""
    pattern = compile_pattern(source)
    assert pattern.is_linear
    start_s = time.process_time()
    assert not pattern.search("a" * 20_000 + "b")
    assert time.process_time() - start_s < 5


@given(st.text(st.sampled_from(r"abAZ09\^$.*+?()[]{}|,-=!<>:pPuxcdDwWsSbBkéL 🐲"), max_size=12))
def test_no_text_does_worse_than_being_refused(source: str) -> None:
    with contextlib.suppress(PatternRefused):
        compile_pattern(source).search("aZ0é🐲")
