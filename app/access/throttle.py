"""How often something may be tried: the generic cell rate algorithm (ITU-T I.371), pure.

The whole state of one subject is one time, so a row of a table can hold it and one UPDATE
can move it (sign-in attempts, across processes), or a dict can (a per-key rate limit).
Times are seconds on whatever clock the caller keeps to; this module has none.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and one more every `interval_s` seconds."""

    burst: int
    interval_s: float

    def __post_init__(self) -> None:
        if self.burst < 1 or not self.interval_s > 0:
            raise ValueError("a rate has a burst of at least 1 and an interval above 0")

    @property
    def tolerance_s(self) -> float:
        """How far ahead of now a subject's time may be, after an attempt that is allowed."""
        return self.burst * self.interval_s


SIGN_IN_PER_ACCOUNT_AND_ADDRESS: Final = Rate(burst=5, interval_s=60.0)
"""Failed attempts. Tight: a person mistypes a few times from where they sit."""
SIGN_IN_PER_ACCOUNT: Final = Rate(burst=20, interval_s=60.0)
"""Failed attempts, from everywhere. Looser, so that a stranger cannot lock the owner out
from one address: that address meets the tight rate first."""
SIGN_IN_PER_ADDRESS: Final = Rate(burst=50, interval_s=6.0)
"""Failed attempts at any account; an office shares one address."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of an attempt."""

    allowed: bool
    full_at: float
    """The state to keep: when the subject's whole burst is there again. Unchanged if refused."""
    retry_after_s: float
    """0 if allowed; else how long until an attempt would be."""


def attempt(rate: Rate, full_at: float | None, now: float) -> Verdict:
    """Count one attempt at `now` against the state `full_at` (None: a subject never seen).

    app/tables/throttle.py has the same in SQL, as one atomic statement.
    """
    start = now if full_at is None else max(full_at, now)
    after = start + rate.interval_s
    excess_s = after - now - rate.tolerance_s
    if excess_s > 1e-9:
        return Verdict(False, start, excess_s)
    return Verdict(True, after, 0.0)


class RateLimiter:
    """One rate for many subjects in this process, in bounded memory.

    At most `max_subjects` are remembered; the one that was seen longest ago is forgotten,
    which can only allow more. So give it subjects that were authenticated already.
    """

    def __init__(self, rate: Rate, *, max_subjects: int = 100_000) -> None:
        self._rate = rate
        self._max_subjects = max_subjects
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def attempt(self, subject: str, now: float) -> Verdict:
        """Count one attempt of `subject` at `now`, in seconds of a clock that never goes back."""
        verdict = attempt(self._rate, self._full_at.get(subject), now)
        self._full_at[subject] = verdict.full_at
        self._full_at.move_to_end(subject)
        if len(self._full_at) > self._max_subjects:
            self._full_at.popitem(last=False)
        return verdict

    def forget(self, subject: str) -> None:
        """Give `subject` its whole burst back."""
        self._full_at.pop(subject, None)

    def __len__(self) -> int:
        return len(self._full_at)
