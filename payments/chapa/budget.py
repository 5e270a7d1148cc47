"""Retries may add a tenth to the load, not more: a herd that tries everything three times keeps the ill ill."""

from __future__ import annotations

import threading
from typing import Final

CALLS_PER_RETRY: Final = 10
"""Ten calls earn one retry."""

SAVED_AT_START: Final = 5
MOST_SAVED: Final = 10


class RetryBudget:
    """Every call earns a tenth of a retry; a retry spends a whole one.

    A few are there from the start, or the first call of a process could never be repeated; few can be saved up,
    or a quiet night would pay for a storm in the morning.
    """

    def __init__(
        self,
        *,
        calls_per_retry: int = CALLS_PER_RETRY,
        saved_at_start: int = SAVED_AT_START,
        most_saved: int = MOST_SAVED,
    ) -> None:
        self._price = calls_per_retry
        self._most = most_saved * calls_per_retry
        self._saved = min(saved_at_start * calls_per_retry, self._most)
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Note a call (not a retry)."""
        with self._lock:
            self._saved = min(self._saved + 1, self._most)

    def spend(self) -> bool:
        """Take one retry out of the budget, if there is one."""
        with self._lock:
            if self._saved < self._price:
                return False
            self._saved -= self._price
            return True
