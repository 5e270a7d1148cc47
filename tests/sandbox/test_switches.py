"""Profiles and switches."""

import pytest

from sandbox.server import Running
from sandbox.switches import ALL, Switches, UnknownSwitch, parse_assignments


def test_each_profile_sets_every_switch_to_one_of_its_values() -> None:
    for profile in ("live2026", "docs"):
        switches = Switches(profile=profile)
        assert all(switches[name] in switch.values for name, switch in ALL.items())


def test_the_documented_profile_answers_an_unpaid_verify_with_404() -> None:
    assert Switches(profile="docs")["verify_unpaid"] == "404_null"
    assert Switches()["verify_unpaid"] == "pending"


def test_a_wrong_change_changes_nothing() -> None:
    switches = Switches(changes={"webhooks": "off"})
    for changes in ({"callbacks": "off", "nonsense": "x"}, {"callbacks": "off", "webhooks": "maybe"}):
        with pytest.raises(UnknownSwitch):
            switches.change(changes=changes)
    assert switches["callbacks"] == "on"
    switches.change(changes={"callbacks": "off"})
    switches.reset()
    assert (switches["callbacks"], switches["webhooks"]) == ("on", "off")
    with pytest.raises(UnknownSwitch):
        switches.choose(profile="live2031")


def test_assignments_are_read_from_a_command_line() -> None:
    assert parse_assignments(texts=["a=b", "c = d"]) == {"a": "b", "c": "d"}
    with pytest.raises(UnknownSwitch, match="name=value"):
        parse_assignments(texts=["verify_unknown"])


def test_control_lists_switches_with_an_explanation_and_sets_them(sandbox: Running) -> None:
    answer = sandbox.control.switch(profile="docs", verify_unpaid="pending")
    rows = {row["name"]: row for row in answer["switches"]}
    assert answer["profile"] == "docs"
    assert rows["verify_unpaid"]["value"] == "pending"
    assert rows["verify_unknown"]["value"] == "404"
    assert all(row["explanation"] for row in rows.values())
