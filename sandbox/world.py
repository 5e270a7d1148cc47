"""One running sandbox: everything that it knows, put together once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sandbox.books import Books
from sandbox.clock import Clock
from sandbox.deliveries import Deliveries, RetryPolicy
from sandbox.faults import Faults
from sandbox.merchant import Merchant, mode_of
from sandbox.notices import Notices
from sandbox.outcomes import Outcomes
from sandbox.requests_seen import RequestsSeen
from sandbox.statefile import StateFile
from sandbox.switches import Switches


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a sandbox is started. `public_url` is what checkout links begin with; empty: the listening address."""

    merchant: Merchant = field(default_factory=Merchant)
    profile: str = "live2026"
    switches: dict[str, str] = field(default_factory=dict)
    public_url: str = ""
    control_token: str = ""
    state: Path | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    workers: int = 8


class Door(Protocol):
    """The main address, as seen by who wants to shut it."""

    async def open(self) -> None:
        """Welcome connections."""

    async def shut(self) -> None:
        """Refuse connections."""


class World:
    """The parts of a sandbox and how they hang together."""

    def __init__(self, *, options: Options) -> None:
        """Build it, and read the state file if there is one.

        :raises UnknownSwitch: for an unknown profile or switch.
        :raises BadKey: for a secret key of neither mode.
        :raises BrokenState: if the state file cannot be read.
        """
        self.options = options
        self.public_url = options.public_url.rstrip("/")
        self.control_token = options.control_token
        self.merchant = options.merchant.copy()
        for key in self.merchant.secret_keys:
            mode_of(secret_key=key)
        self.clock = Clock()
        self.switches = Switches(profile=options.profile, changes=options.switches)
        self.state = StateFile(path=options.state) if options.state else None
        self.books = Books(merchant=self.merchant, on_change=self.state.write if self.state else None)
        self.faults = Faults()
        self.requests = RequestsSeen()
        self.deliveries = Deliveries(clock=self.clock, policy=options.retry, workers=options.workers)
        self.notices = Notices(
            merchant=self.merchant,
            switches=self.switches,
            clock=self.clock,
            deliveries=self.deliveries,
            faults=self.faults,
        )
        self.outcomes = Outcomes(
            books=self.books,
            clock=self.clock,
            switches=self.switches,
            merchant=self.merchant,
            notices=self.notices,
        )
        self.unreachable = "no"
        self.door: Door | None = None
        if self.state:
            self.state.load(into=self.books)

    def reset(self) -> None:
        """As freshly started: no books, no deliveries, no faults, real time, the switches of the start."""
        with self.books.lock:
            self.books.clear()
            self.deliveries.clear()
            self.faults.clear()
            self.requests.clear()
            self.clock.reset()
            self.switches.reset()
            self.unreachable = "no"
            fresh: Any = vars(self.options.merchant.copy())
            vars(self.merchant).update(fresh)
            if self.state:
                self.state.clear()

    def close(self) -> None:
        """Stop delivering and close the state file."""
        self.deliveries.stop()
        if self.state:
            self.state.close()
