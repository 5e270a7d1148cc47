"""Books that survive a restart: one JSON line per change, the last line about a transaction counts."""

import json
import threading
from pathlib import Path
from typing import IO

from sandbox.books import Books
from sandbox.signing import number
from sandbox.transaction import Transaction, from_record, to_record


class BrokenState(Exception):
    """The state file cannot be understood."""


class StateFile:
    """Appends every change, so that even a killed sandbox forgets nothing; compacted when it is read."""

    def __init__(self, *, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._open: IO[str] | None = None

    def load(self, *, into: Books) -> None:
        """Put what the file holds into the books and begin a compact file.

        :raises BrokenState: if a line other than the last, which a crash may have cut, is not readable.
        """
        latest: dict[str, Transaction] = {}
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        for at, line in enumerate(lines, start=1):
            try:
                transaction = from_record(record=json.loads(line))
            except (ValueError, KeyError, TypeError) as problem:
                if at == len(lines):
                    break
                raise BrokenState(f"line {at} of {self.path} is not a transaction: {problem}") from problem
            latest[transaction.tx_ref] = transaction
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as file:
            for transaction in latest.values():
                into.restore(transaction)
                file.write(_line(transaction))
        fresh.replace(self.path)

    def write(self, transaction: Transaction) -> None:
        """Append a transaction as it now stands."""
        with self._lock:
            if self._open is None:
                self._open = self.path.open("a", encoding="utf-8")
            self._open.write(_line(transaction))
            self._open.flush()

    def clear(self) -> None:
        """Forget everything."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None


def _line(transaction: Transaction) -> str:
    # meta is whatever the merchant sent and may hold decimals
    return json.dumps(to_record(transaction=transaction), default=number) + "\n"
