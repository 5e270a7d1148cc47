"""The one merchant that the sandbox serves: keys, addresses, fee, limits and opening balances."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

CURRENCIES = ("ETB", "USD")
TEST_PREFIX = "CHASECK_TEST-"
LIVE_PREFIX = "CHASECK-"
# The form of a test key, and a value that nobody can mistake for a real one.
DEFAULT_SECRET_KEY = TEST_PREFIX + "sandbox".ljust(32, "0")
DEFAULT_WEBHOOK_SECRET = "sandbox-webhook-secret-for-tests-only"  # noqa: S105 - a public default for tests
BUSINESS_STATES = ("ok", "cannot_receive", "api_disabled")


class BadKey(ValueError):
    """A secret key whose form says that it does not belong here."""


def mode_of(*, secret_key: str) -> str:
    """`test` or `live`, as the key's prefix says.

    :raises BadKey: if it has neither prefix.
    """
    if secret_key.startswith(TEST_PREFIX):
        return "test"
    if secret_key.startswith(LIVE_PREFIX):
        return "live"
    raise BadKey(f"a secret key begins with {TEST_PREFIX} (or {LIVE_PREFIX} in live mode)")


@dataclass(frozen=True, kw_only=True)
class Subaccount:
    """A split partner. `split_value` is the platform's commission: 0.03 is 3 %, 25 flat is 25 ETB."""

    id: str
    split_type: str = "percentage"
    split_value: Decimal = Decimal(0)


@dataclass(kw_only=True)
class Merchant:
    """Everything that stands in a real merchant's dashboard. Amounts are in major units."""

    name: str = "Sandbox Merchant"
    secret_keys: tuple[str, ...] = (DEFAULT_SECRET_KEY,)
    webhook_url: str = ""
    webhook_secret: str = DEFAULT_WEBHOOK_SECRET
    fee_percent: Decimal = Decimal("3.5")
    retry_window: timedelta = timedelta(minutes=60)
    max_attempts: int = 10
    refund_processing_after: timedelta = timedelta(hours=1)
    refund_done_after: timedelta = timedelta(hours=24)
    opening_balances: dict[str, Decimal] = field(
        default_factory=lambda: {"ETB": Decimal("1000000.00"), "USD": Decimal("10000.00")}
    )
    business_state: str = "ok"
    subaccounts: dict[str, Subaccount] = field(default_factory=dict)

    def key_mode(self, *, presented: str) -> str | None:
        """The mode of a presented key, or None when it is not one of this merchant's."""
        return mode_of(secret_key=presented) if presented in self.secret_keys else None

    def fee(self, *, amount: Decimal) -> Decimal:
        """Chapa's fee on an amount, in the same currency, half a cent rounded up."""
        return (amount * self.fee_percent / 100).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)

    def copy(self) -> "Merchant":
        """An independent copy, to return to after changes."""
        return replace(self, opening_balances=dict(self.opening_balances), subaccounts=dict(self.subaccounts))
