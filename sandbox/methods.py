"""Payment methods of the checkout page: limits, test numbers, one-time passwords, test cards."""

import re
from dataclasses import dataclass
from decimal import Decimal

_09 = ("0900123456", "0900112233", "0900881111")
_07 = ("0700123456", "0700112233", "0700881111")
_ETHIOPIAN_PHONE = re.compile(r"0[79]\d{8}")
TEST_OTP = "12345"
TEST_EXPIRY = "12/34"
TEST_CARDS = (
    ("Visa", "4200000000000000", "123"),
    ("Mastercard", "5400000000000000", "123"),
    ("Amex", "3700000000000000", "1234"),
    ("UnionPay", "6200000000000000", "123"),
    ("Diners Club", "3800000000000000", "123"),
)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to pay. Limits are in birr; a maximum of None is unlimited."""

    slug: str
    name: str
    kind: str
    minimum: Decimal = Decimal(1)
    maximum: Decimal | None = None
    test_numbers: tuple[str, ...] = ()
    otp: bool = False
    currencies: tuple[str, ...] = ("ETB",)
    colour: str = "#555"
    mark: str = ""

    def refusal(self, *, amount: Decimal, currency: str) -> str:
        """Why this amount cannot be paid this way, or nothing."""
        if currency not in self.currencies:
            return f"Does not take {currency}."
        if currency != "ETB":
            return ""
        if amount < self.minimum:
            return f"Takes payments from {self.minimum:,} ETB."
        if self.maximum is not None and amount > self.maximum:
            return f"Takes payments up to {self.maximum:,} ETB."
        return ""


ALL: dict[str, Method] = {
    method.slug: method
    for method in (
        Method(slug="telebirr", name="telebirr", kind="phone", maximum=Decimal(75000), test_numbers=_09,
               colour="#0a7cc1", mark="tb"),
        Method(slug="cbebirr", name="CBEBirr", kind="phone", maximum=Decimal(150000), test_numbers=_09,
               colour="#6b2a86", mark="CB"),
        Method(slug="mpesa", name="M-Pesa", kind="phone", minimum=Decimal(20), maximum=Decimal(75000),
               test_numbers=_07, colour="#2f9e41", mark="M"),
        Method(slug="awash", name="Awash Bank", kind="phone", test_numbers=_09, otp=True, colour="#e0701b",
               mark="AB"),
        Method(slug="amole", name="Amole", kind="phone", test_numbers=_09, otp=True, colour="#b3262e",
               mark="Am"),
        Method(slug="ebirr", name="COOPPay-ebirr", kind="phone", test_numbers=_09, colour="#00869b", mark="eb"),
        Method(slug="card", name="Credit or debit card", kind="card", minimum=Decimal(10),
               maximum=Decimal(500000), currencies=("ETB", "USD"), colour="#27364b", mark="Cd"),
    )
}  # fmt: skip


def phone_problem(*, phone: str) -> str:
    """What Chapa's page says about a phone number that cannot be one, or nothing."""
    if not phone:
        return "Phone number is required."
    if not phone.isdigit() or len(phone) != 10:
        return "Invalid Phone number, please use a proper phone number."
    if not _ETHIOPIAN_PHONE.fullmatch(phone):
        return "The phone number must be a valid Ethiopian phone number."
    return ""


def card_accepted(*, card: str, expiry: str, cvv: str) -> bool:
    """Whether this is one of the test cards. Card numbers are compared, not checked: some fail Luhn."""
    if expiry.replace(" ", "") != TEST_EXPIRY:
        return False
    return any(card == known and cvv == code for _, known, code in TEST_CARDS)
