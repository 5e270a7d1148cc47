from __future__ import annotations

import pytest

from core.errors import DomainError
from core.problems import InvalidInput, NotFound


class TeapotInTests(DomainError):
    code, status, title = "teapot_in_tests", 418, "This is a teapot."


class SmallTeapotInTests(TeapotInTests):
    """Says the same under the same code: no second entry of the catalogue."""


def test_a_refusal_says_its_title_unless_it_has_something_to_add():
    assert TeapotInTests().detail == "This is a teapot."
    assert TeapotInTests("It holds 3 cups.").detail == "It holds 3 cups."
    assert str(TeapotInTests("It holds 3 cups.")) == "It holds 3 cups."


def test_what_a_program_can_use_travels_beside_the_words():
    assert TeapotInTests("No.", cups=3).extra == {"cups": 3}


def test_a_wait_is_per_refusal_and_never_sticks_to_the_class():
    assert TeapotInTests(retry_after=5).retry_after == 5
    assert TeapotInTests().retry_after is None


def test_the_catalogue_is_sorted_and_holds_each_code_once():
    codes = [error.code for error in DomainError.catalogue()]

    assert codes == sorted(set(codes))
    assert {"teapot_in_tests", InvalidInput.code, NotFound.code} <= set(codes)


def test_a_child_without_a_code_of_its_own_stands_in_the_catalogue_under_its_parents():
    assert SmallTeapotInTests not in DomainError.catalogue()


def test_the_same_code_twice_is_found_out():
    class SecondTeapot(DomainError):
        code, status, title = "teapot_in_tests", 409, "Another."

    try:
        with pytest.raises(RuntimeError, match="teapot_in_tests is defined by"):
            DomainError.catalogue()
    finally:
        SecondTeapot.code = "second_teapot_in_tests"


def test_every_refusal_of_ours_is_complete():
    ours = [error for error in DomainError.catalogue() if not error.__module__.startswith("tests")]

    assert len(ours) > 30
    for error in ours:
        assert error.code.replace("_", "").islower(), error
        assert 400 <= error.status <= 599, error
        assert error.title.endswith("."), error
        # What another moment may answer otherwise must not be kept under an idempotency key for three days.
        assert not (error.storable and (error.status >= 500 or error.retry_after)), error
