"""The same shop on many ordinary days, each drawn from a seed: fuller stories than the machine's, which begin small.

`NEXUS_SEED=7` plays one day again. A day is what its seed says but for keys and references, which are drawn by lot.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest

from orders.flow import OrderStatus
from orders.models import OrderHistory
from payments.flow import PaymentStatus, RefundStatus
from payments.gateway import RefundVerdict
from payments.models import Discrepancy, PaymentHistory, Refund, RefundCause, RefundHistory, Resolution, WebhookEvent
from tests.properties.shop import Shop
from tests.properties.world import SILENCES, STOCK, WELL, Mishap

IS_PROOF: Final = os.environ.get("HYPOTHESIS_PROFILE") == "proof"
DAYS: Final = int(os.environ.get("NEXUS_PROOF_EXAMPLES", "2000")) // 8 if IS_PROOF else 4
STEPS: Final = 90
GIVEN: Final = os.environ.get("NEXUS_SEED", "")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(0 if IS_PROOF else 600)]

Dice = random.Random


def mishap(dice: Dice) -> Mishap:
    kind = dice.random()
    if kind < 0.75:
        return WELL
    if kind < 0.88:
        return Mishap(dies_at=dice.randint(1, 14))
    return Mishap(silence=dice.choice(SILENCES), after=dice.random() < 0.5)


def which(dice: Dice) -> int:
    return dice.randrange(1000)


def maybe_cents(dice: Dice) -> int | None:
    return None if dice.random() < 0.4 else dice.randint(1, 30_000)


ACTIONS: Final[dict[str, tuple[int, dict[str, Callable[[Dice], Any]]]]] = {
    # name: how often, and what with
    "all_goes_well": (8, {"sku": lambda d: d.choice(sorted(STOCK)), "quantity": lambda d: d.randint(1, 2),
                          "more": lambda d: d.choice(["0", "0", "20.00"])}),
    "somebody_orders": (4, {"sku": lambda d: d.choice(sorted(STOCK)), "quantity": lambda d: d.randint(1, 3),
                            "mishap": mishap}),
    "somebody_wants_to_pay": (7, {"which": which, "mishap": mishap}),
    "somebody_pays": (3, {"which": which}),
    "somebody_pays_less_or_more": (4, {"which": which, "by": lambda d: d.choice(["-0.01", "-50.00", "0.01", "20.00"])}),
    "somebody_pays_in_dollars": (1, {"which": which}),
    "a_try_fails": (2, {"which": which}),
    "somebody_pays_too_late_and_orders_again": (3, {"sku": lambda d: d.choice(sorted(STOCK)),
                                                    "quantity": lambda d: d.randint(1, 2)}),
    "somebody_cancels": (1, {"which": which, "mishap": mishap}),
    "a_webhook_comes": (8, {"which": which, "again": lambda d: d.random() < 0.4, "mishap": mishap}),
    "a_webhook_is_lost": (2, {"which": which}),
    "chapa_tells_of_what_nobody_knows": (1, {"which": which}),
    "somebody_comes_back_from_chapas_page": (5, {"which": which, "mishap": mishap}),
    "the_relay_publishes": (6, {"mishap": mishap}),
    "a_worker_takes_a_message": (14, {"which": which, "again": lambda d: d.random() < 0.2, "mishap": mishap}),
    "the_broker_forgets_everything": (1, {}),
    "the_sweepers_sweep": (6, {"mishap": mishap}),
    "time_passes": (4, {"minutes": lambda d: d.choice([1, 10, 31, 61, 61, 180, 1500])}),
    "somebody_fulfils": (2, {"which": which, "mishap": mishap}),
    "somebody_gives_money_back": (10, {"which": which, "cents": maybe_cents, "mishap": mishap}),
    "somebody_else_decides": (6, {"which": which, "yes": lambda d: d.random() < 0.7, "mishap": mishap}),
    "somebody_resolves_a_discrepancy": (9, {"which": which, "choice": which, "mishap": mishap}),
    "chapa_gives_back": (14, {"which": which, "verdict": lambda d: d.choice(
        [RefundVerdict.PROCESSING, *[RefundVerdict.REFUNDED] * 3, *[RefundVerdict.REVERSED] * 2])}),
    "somebody_gives_back_in_the_dashboard": (1, {"which": which, "cents": lambda d: None if d.random() < 0.5 else 700}),
    "a_bank_takes_a_payment_back": (1, {"which": which}),
}  # fmt: skip
EVERYTHING: Final = {
    *(f"order {status}" for status in OrderStatus),
    *(f"payment {status}" for status in PaymentStatus),
    *(f"refund {status}" for status in RefundStatus),
    *(f"refund of {cause}" for cause in RefundCause),
    *(f"discrepancy {how}" for how in Resolution),
}
MUCH: Final = {
    "order paid", "order expired", "order refunded", "payment succeeded", "payment mismatched",
    "refund succeeded", "refund failed", "refund of asked", "refund of surplus", "discrepancy explained",
    "webhook processed",
}  # fmt: skip
"""What has to be seen in the few days of an ordinary run; long ones have to see everything."""
NEEDS_POST, NEEDS_QUEUE, NEEDS_REFUNDS = (
    {"a_webhook_comes", "a_webhook_is_lost"},
    {"a_worker_takes_a_message", "the_broker_forgets_everything"},
    {"chapa_gives_back"},
)


def possible(shop: Shop) -> list[str]:
    world = shop.world
    out = set() if world.post else set(NEEDS_POST)
    out |= set() if world.queue else NEEDS_QUEUE
    out |= set() if world.gateway.refunds else NEEDS_REFUNDS
    return [name for name in ACTIONS if name not in out]


def play(*, seed: int, seen: Counter[str]) -> None:
    """One day, from its first order until everything has come to an end.

    :raises AssertionError: with the seed and all that happened, where anything was not right.
    """
    dice = random.Random(seed)
    random.seed(seed)  # the tenth of a pause that is drawn by lot
    story: list[str] = []
    shop = Shop()
    try:
        shop.it_opens(policy=dice.choice(["automatic", "person"]), knows_our_references=dice.random() < 0.5)
        for _ in range(STEPS):
            names = possible(shop)
            (name,) = dice.choices(names, weights=[ACTIONS[each][0] for each in names])
            given = {key: draw(dice) for key, draw in ACTIONS[name][1].items()}
            story.append(f"{name} {given}")
            getattr(shop, name)(**given)
            shop.the_books_are_right()
        story.append("everything comes to an end")
        shop.everything_comes_to_an_end()
    except Exception as wrong:
        happened = "\n  ".join(story)
        raise AssertionError(f"NEXUS_SEED={seed}: {wrong}\n  {happened}") from wrong
    finally:
        shop.settings.disable()
    for kind, history in (("order", OrderHistory), ("payment", PaymentHistory), ("refund", RefundHistory)):
        seen.update(f"{kind} {status}" for status in history.objects.values_list("to_status", flat=True))
    seen.update(f"discrepancy {how or 'open'}" for how in Discrepancy.objects.values_list("resolution", flat=True))
    seen.update(f"refund of {cause}" for cause in Refund.objects.values_list("cause", flat=True))
    seen.update(f"webhook {what}" for what in WebhookEvent.objects.values_list("disposition", flat=True))


def test_on_many_days_the_books_are_right_and_everything_comes_to_an_end():
    seen: Counter[str] = Counter()
    for seed in [int(GIVEN)] if GIVEN else range(1, DAYS + 1):
        play(seed=seed, seen=seen)

    if not GIVEN:
        assert sorted((EVERYTHING if IS_PROOF else MUCH) - set(seen)) == []  # else these days have told little
