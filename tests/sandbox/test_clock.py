"""Virtual time."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.clock import Clock, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(90, 90), ("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1.5d", 129600), ("-5m", -300)],
)
def test_durations_are_read_with_and_without_a_unit(text: str | int, seconds: int) -> None:
    assert parse_duration(text=text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "ten minutes", "5 years", "1e9", "99999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"no duration|longer than"):
        parse_duration(text=text)


def test_the_clock_only_goes_forward_and_tells_its_listeners() -> None:
    clock, told = Clock(), []
    clock.on_advance(lambda: told.append(clock.now()))
    before = clock.now()
    after = clock.advance(by=timedelta(hours=1))
    assert timedelta(hours=1) <= after - before < timedelta(hours=1, minutes=1)
    assert len(told) == 1
    with pytest.raises(ValueError, match="forward"):
        clock.advance(by=timedelta(seconds=-1))
    clock.reset()
    assert clock.advanced == timedelta(0)


def test_stamps_are_written_as_chapa_does_and_can_be_wrong_on_purpose() -> None:
    clock, at = Clock(), datetime(2023, 2, 2, 7, 5, 23, 987654, tzinfo=UTC)
    assert clock.stamp(at) == "2023-02-02T07:05:23.000000Z"
    clock.set_skew(skew=timedelta(days=-1))
    assert clock.stamp(at) == "2023-02-01T07:05:23.000000Z"
    assert clock.skew == timedelta(days=-1)
