from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import MAX_AMOUNT, Currency, CurrencyMismatch, Money

amounts = st.decimals(min_value=-MAX_AMOUNT, max_value=MAX_AMOUNT, places=2)
currencies = st.sampled_from(list(Currency))
money = st.builds(Money, amounts, currencies)


def birr(text: str) -> Money:
    return Money.parse(text, "ETB")


@pytest.mark.parametrize("amount", [1.5, 1, True, "1.50", None])
def test_an_amount_is_a_decimal_and_nothing_else(amount):
    with pytest.raises(TypeError, match="an amount is a Decimal"):
        Money(amount, Currency.ETB)


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "0.001", "1E-3", "12.345"])
def test_an_amount_is_finite_and_has_at_most_two_places(amount):
    with pytest.raises(ValueError, match="an amount"):
        Money(Decimal(amount), Currency.ETB)


def test_an_amount_is_kept_with_exactly_two_places():
    assert str(Money(Decimal(5), Currency.ETB).amount) == "5.00"
    assert str(Money(Decimal("1E+2"), Currency.ETB)) == "100.00 ETB"
    assert str(Money(Decimal("5.000"), Currency.USD)) == "5.00 USD"


def test_a_currency_we_do_not_settle_is_refused():
    with pytest.raises(ValueError, match="EUR"):
        Money(Decimal(1), "EUR")


@given(money)
def test_the_wire_form_reads_back_as_the_same_money(value):
    amount, currency = str(value).split()

    assert Money.parse(amount, currency) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " 1", "1 ", "1\n", "+1", "1.", ".5", "1,000.00", "1e3", "1E3", "NaN", "Infinity", "0x10", "1_000", "1.234",
        "--1", "1.2.3", "١٢٣", "１２", "፩", "1234567890123", "1.00 ETB",
    ],
)  # fmt: skip
def test_only_plain_ascii_digits_are_read(text):
    with pytest.raises(ValueError, match="not a plain decimal amount"):
        Money.parse(text, "ETB")


@given(money, st.data())
def test_adding_and_taking_away_again_changes_nothing(value, data):
    other = Money(data.draw(amounts), value.currency)

    assert (value + other) - other == value
    assert (value < other) == (value.amount < other.amount)
    assert (value >= other) is not (value < other)
    assert (value <= other) is not (value > other)


@given(money, st.integers(min_value=0, max_value=999))
def test_a_line_total_is_the_sum_of_its_pieces(value, pieces):
    assert (value * pieces).amount == sum([value.amount] * pieces, Decimal(0))


OPERATORS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a < b,
    lambda a, b: a <= b,
    lambda a, b: a > b,
    lambda a, b: a >= b,
]


@pytest.mark.parametrize("operate", OPERATORS)
def test_two_currencies_never_meet_in_one_expression(operate):
    with pytest.raises(CurrencyMismatch, match=r"1\.00 ETB and 1\.00 USD"):
        operate(birr("1.00"), Money.parse("1.00", "USD"))


@pytest.mark.parametrize("operate", OPERATORS)
@pytest.mark.parametrize("other", [0, 1, Decimal(1), None, "1.00"])
def test_money_meets_only_money(operate, other):
    with pytest.raises(TypeError, match="money meets money"):
        operate(birr("1.00"), other)


@pytest.mark.parametrize("times", [1.5, Decimal(2), True, "2", None])
def test_money_is_multiplied_by_whole_numbers_only(times):
    with pytest.raises(TypeError, match="whole number"):
        birr("1.00") * times


def test_equal_amounts_of_two_currencies_are_not_equal():
    assert birr("1.00") != Money.parse("1.00", "USD")
    assert birr("1.00") != Decimal(1)
    assert {birr("1.00"), birr("1"), Money.parse("1", "USD")} == {birr("1.00"), Money.parse("1", "USD")}


def test_nothing_is_false_and_something_is_true():
    assert not Money.zero("ETB")
    assert birr("0.01")
    assert birr("-0.01")


def test_money_cannot_be_changed():
    with pytest.raises(AttributeError):
        birr("1.00").amount = Decimal(2)
