from __future__ import annotations

from enum import StrEnum

import pytest

from core.flow import Flow, IllegalMove
from orders.flow import ORDER_FLOW
from payments.flow import OPEN, PAYMENT_FLOW, SETTLED, PaymentStatus


class Door(StrEnum):
    OPEN = "open"
    SHUT = "shut"
    GONE = "gone"


FLOW = Flow(name="door", initial=Door.OPEN, moves={Door.OPEN: (Door.SHUT,), Door.SHUT: (Door.GONE,), Door.GONE: ()})


def test_a_flow_allows_what_its_table_says_and_nothing_else():
    allowed = {(source, target) for source in Door for target in Door if FLOW.allows(source, target)}

    assert allowed == set(FLOW.pairs()) == {(Door.OPEN, Door.SHUT), (Door.SHUT, Door.GONE)}


def test_a_move_outside_the_table_is_a_bug_that_says_what_was_tried():
    FLOW.check(Door.OPEN, Door.SHUT)

    with pytest.raises(IllegalMove, match="door: gone → open is not a move"):
        FLOW.check(Door.GONE, Door.OPEN)


def test_a_state_without_a_row_is_refused_at_once():
    with pytest.raises(ValueError, match="every state needs its row"):
        Flow(name="door", initial=Door.OPEN, moves={Door.OPEN: (Door.SHUT, Door.GONE)})


def test_a_state_that_no_move_leads_to_is_refused_at_once():
    with pytest.raises(ValueError, match="no move leads to"):
        Flow(name="door", initial=Door.OPEN, moves={Door.OPEN: (Door.SHUT,), Door.SHUT: (), Door.GONE: ()})


def test_a_state_without_moves_is_final():
    assert [state for state in Door if FLOW.is_final(state)] == [Door.GONE]


def test_the_drawing_shows_every_move_once():
    drawing = FLOW.mermaid().splitlines()

    assert drawing == [
        "stateDiagram-v2",
        "    [*] --> open",
        "    open --> shut",
        "    shut --> gone",
        "    gone --> [*]",
    ]


@pytest.mark.parametrize("flow", [ORDER_FLOW, PAYMENT_FLOW], ids=lambda flow: flow.name)
def test_no_flow_of_ours_moves_to_where_it_is(flow):
    assert [source for source, target in flow.pairs() if source is target] == []


def test_money_that_arrived_is_never_unsaid():
    assert PAYMENT_FLOW.is_final(PaymentStatus.SUCCEEDED)
    assert not OPEN & SETTLED


def test_every_attempt_that_is_open_can_still_succeed():
    assert all(PAYMENT_FLOW.allows(state, PaymentStatus.SUCCEEDED) for state in OPEN)
