"""The stories that `make demo` plays, in order. Each is one function over HTTP; none reaches into the system."""

import time
from collections.abc import Sequence
from typing import Any

import requests

from stack.playground import Playground, Story
from stack.shop import SECONDS, Clerk, Shopper, chapas_books, control, deliver, stock_of
from stack.watching import the_page_is_told

COPIES = 100


def the_system_is_up(playground: Playground) -> None:
    """Ask the system how it is, and Chapa's stand-in too."""
    health = requests.get(f"{playground.base_url}/healthz/ready", timeout=SECONDS).json()
    playground.expect(health["status"] == "ok", otherwise=f"the system says {health}")
    playground.tell(f"{playground.base_url}/healthz/ready says {health['status']}, nothing is degraded.")
    books = requests.get(f"{playground.sandbox_url}/control/books", timeout=SECONDS)
    playground.expect(books.ok, otherwise=f"the sandbox answers {books.status_code}")
    playground.tell("The local Chapa keeps its own books, against which ours can be compared.")
    processes = ", ".join(playground.system.names())
    playground.tell(f"Processes: {processes}.")


def an_order_is_paid(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order()
    shopper.starts_to_pay()
    playground.tell("Chapa's page is open; the shopper pays with telebirr.")
    paid_at = time.monotonic()
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    playground.tell(f"Webhook → verified with Chapa → paid, {time.monotonic() - paid_at:.2f} s after the payment.")
    playground.eventually(lambda: shopper.mails() == 1, what="one confirmation mail")
    playground.tell(f"The confirmation mail was there {time.monotonic() - paid_at:.2f} s after the payment.")
    attempt = shopper.attempts()[0]
    books = chapas_books(playground)[attempt["tx_ref"]]
    playground.expect(
        (attempt["status"], attempt["captured_amount"]) == ("succeeded", shopper.order["total"]),
        otherwise=f"the attempt is {attempt}",
    )
    playground.expect(
        attempt["gateway_reference"] == books["reference"], otherwise=f"Chapa's books say {books}, we say {attempt}"
    )
    playground.tell(f"Chapa's books and ours agree: {attempt['captured_amount']} ETB, fee {attempt['fee']}.")


def the_webhook_never_comes(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order(sku="SPICE-BERB-200", quantity=1)
    shopper.starts_to_pay()
    control(playground, f"/transactions/{shopper.payment['tx_ref']}/pay", {"webhook": False, "callback": False})
    paid_at = time.monotonic()
    playground.tell("Paid at Chapa; neither webhook nor callback is sent.")
    shopper.waits_until("paid")
    playground.tell(f"The sweeper asked by itself and found the money after {time.monotonic() - paid_at:.1f} s.")


def chapa_hangs_after_creating_the_session(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order(sku="HONEY-TIGR-500", quantity=1)
    control(
        playground,
        "/faults",
        {"kind": "hang", "match": {"route": "initialize"}, "times": 1, "when": "after", "params": {"seconds": 8}},
    )
    shopper.starts_to_pay(expect=202)
    lost = shopper.payment["tx_ref"]
    playground.expect(shopper.payment["status"] == "unknown", otherwise=f"the attempt is {shopper.payment}")
    playground.tell(f"Chapa made the page and never answered: attempt {lost} is unknown, not failed.")
    shopper.starts_to_pay(expect=202)
    playground.expect(shopper.payment["tx_ref"] == lost, otherwise="a second session was opened beside the first")
    playground.tell("The impatient shopper taps again and gets the same attempt: no second session.")

    def open_page() -> bool:
        shopper.payment = shopper.attempts()[0]
        return bool(shopper.payment["checkout_url"])

    playground.eventually(open_page, what="a page to pay on", seconds=120)
    books = chapas_books(playground)
    playground.expect(
        books[lost]["status"] not in {"pending", "success"}, otherwise=f"the lost page is {books[lost]['status']}"
    )
    playground.tell(f"The worker closed the lost page at Chapa and opened {shopper.payment['tx_ref']}.")
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    ours = {attempt["tx_ref"] for attempt in shopper.attempts()}
    captured = [ref for ref, entry in chapas_books(playground).items() if ref in ours and entry["status"] == "success"]
    playground.expect(len(captured) == 1, otherwise=f"Chapa took money {len(captured)} times")
    playground.tell("The shopper paid once; Chapa's books hold exactly one payment for this order.")
    playground.eventually(lambda: shopper.mails() >= 1, what="the confirmation mail")
    playground.expect(shopper.mails() == 1, otherwise="the shopper was told of a failure that was none of theirs")


def forged_and_short(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order(sku="CRAFT-NETE-01", quantity=1)
    shopper.starts_to_pay()
    claim = {
        "event": "charge.success", "status": "success", "tx_ref": shopper.payment["tx_ref"], "reference": "APforged",
        "amount": shopper.order["total"], "currency": "ETB", "mode": "test",
    }  # fmt: skip
    forged = deliver(playground, body=claim, secret="not-the-secret-0123456789-0123456789")
    playground.expect(
        (forged.status_code, forged.json().get("code")) == (401, "invalid_signature"),
        otherwise=f"the forged webhook was answered {forged.status_code} {forged.text[:200]}",
    )
    playground.tell("A forged webhook that says “success” is answered 401 invalid_signature.")

    control(playground, f"/transactions/{shopper.payment['tx_ref']}/pay", {"amount": "1.00"})
    playground.eventually(
        lambda: shopper.attempts()[0]["status"] == "mismatched", what="the short payment set aside as mismatched"
    )
    attempt = shopper.attempts()[0]
    playground.tell(f"A genuine one for 1.00 ETB: {attempt['failure_reason']}. It waits for a person.")
    playground.expect(shopper.looks()["status"] == "awaiting_payment", otherwise=f"the order is {shopper.order}")
    playground.expect(shopper.mails() == 0, otherwise="a mail was sent")
    playground.tell("The order is not paid and no mail was sent.")


def a_hundred_copies(playground: Playground) -> None:
    shopper = Shopper(playground)
    before = stock_of(playground, slug="sidama-500g")
    shopper.places_an_order(sku="COFFEE-SIDA-500", quantity=1)
    shopper.starts_to_pay()
    control(playground, "/faults", {"kind": "duplicate", "match": {"route": "webhook"}, "params": {"copies": COPIES}})
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    tx_ref = shopper.payment["tx_ref"]

    def copies_taken() -> bool:
        answer = requests.get(
            f"{playground.sandbox_url}/control/deliveries",
            params={"tx_ref": tx_ref, "kind": "webhook"},
            timeout=SECONDS,
        )
        statuses = [attempt["status"] for one in answer.json()["deliveries"] for attempt in one["attempts"]]
        return statuses.count(200) >= COPIES

    playground.eventually(copies_taken, what=f"{COPIES} deliveries answered 200", seconds=120)
    playground.eventually(lambda: shopper.mails() >= 1, what="the confirmation mail")
    playground.tell(f"Chapa delivered the same webhook {COPIES} times; each was answered 200.")
    settling = [attempt for attempt in shopper.attempts() if attempt["settles_order"]]
    playground.expect(len(settling) == 1, otherwise=f"{len(settling)} payments settle the order")
    left = stock_of(playground, slug="sidama-500g")
    playground.expect(left == before - 1, otherwise=f"stock went from {before} to {left}")
    time.sleep(3)  # time for a second mail to appear, if one were on its way
    playground.expect(shopper.mails() == 1, otherwise=f"{shopper.mails()} mails were sent")
    playground.tell("One payment, one piece of stock, one mail.")


def the_shopper_never_pays(playground: Playground) -> None:
    before = stock_of(playground, slug="mesob")
    shopper = Shopper(playground)
    shopper.places_an_order(sku="CRAFT-MESO-01", quantity=3)
    held = stock_of(playground, slug="mesob")
    playground.expect(held == before - 3, otherwise=f"available went from {before} to {held}")
    playground.tell(f"Three pieces are held: {before} available before, {held} now.")
    shopper.waits_until("expired", seconds=120)
    after = stock_of(playground, slug="mesob")
    playground.expect(after == before, otherwise=f"{after} available after the expiry, {before} before the order")
    playground.tell(f"Nobody paid: the order expired and {after} are available again.")
    playground.eventually(lambda: shopper.mails() == 1, what="the mail about it")


def the_broker_is_away(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order(sku="HONEY-GOJJ-500", quantity=1)
    shopper.starts_to_pay()
    playground.system.stop(name="valkey")
    try:
        playground.tell("The broker is stopped.")
        shopper.pays_on_chapas_page()
        tx_ref = shopper.payment["tx_ref"]

        def stored() -> bool:
            answer = requests.get(
                f"{playground.sandbox_url}/control/deliveries",
                params={"tx_ref": tx_ref, "kind": "webhook"},
                timeout=SECONDS,
            )
            return any(tried["status"] == 200 for one in answer.json()["deliveries"] for tried in one["attempts"])

        playground.eventually(stored, what="Chapa's webhook stored with the broker away")
        playground.tell("The shopper pays; Chapa's webhook is stored and answered 200 all the same.")
        another = Shopper(playground)
        another.places_an_order(sku="SPICE-SHIR-500", quantity=1)
        health = requests.get(f"{playground.base_url}/healthz/ready", timeout=SECONDS)
        playground.expect(health.status_code == 200, otherwise=f"the shop says {health.status_code}")
        playground.tell("The shop stays open: another order is placed meanwhile.")
    finally:
        playground.system.resume(name="valkey")
    back_at = time.monotonic()
    playground.tell("The broker is back.")
    shopper.waits_until("paid", seconds=120)
    playground.eventually(lambda: shopper.mails() == 1, what="the confirmation mail", seconds=120)
    playground.tell(f"Nothing was lost: paid and told {time.monotonic() - back_at:.1f} s later.")


def a_second_payment_goes_back(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order(sku="CRAFT-JEBE-01", quantity=1)
    shopper.starts_to_pay()
    first = shopper.payment["tx_ref"]
    control(playground, f"/transactions/{first}/fail", {"attempt_only": False, "webhook": True})

    def failed_try() -> bool:
        shopper.starts_to_pay(expect=None)
        return bool(shopper.payment["tx_ref"] != first)

    playground.eventually(failed_try, what="a second attempt after the first one failed")
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    playground.tell("The first try failed at Chapa, the second paid the order.")
    control(playground, f"/transactions/{first}/pay", {"force": True})
    playground.tell("Then the first one succeeds after all, at Chapa: the shopper has paid twice.")
    refund = _refund_at_chapa(playground, first)
    playground.expect(refund["refunding"] == shopper.order["total"], otherwise=f"Chapa's books say {refund}")
    playground.tell(f"Kept apart, and a refund of {refund['refunding']} ETB is at Chapa without anybody asking.")
    _arrives_at_the_customer(playground, first)
    playground.eventually(lambda: shopper.mails() == 2, what="the mail that says so", seconds=120)
    playground.expect(shopper.looks()["status"] == "paid", otherwise=f"the order is {shopper.order}")
    playground.tell("It has arrived, and only then the shopper was told. The order stays paid, once.")


def a_refund_is_approved(playground: Playground) -> None:
    before = stock_of(playground, slug="mesob")
    shopper = Shopper(playground)
    shopper.places_an_order(sku="CRAFT-MESO-01", quantity=3)
    shopper.starts_to_pay()
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    payment = shopper.attempts()[0]
    finance, approver = Clerk(playground, "finance"), Clerk(playground, "finance_approver")
    refund = finance.posts(f"/payments/{payment['id']}/refunds/", {"reason": "woven too loosely"}, expect=201)
    playground.expect(refund["status"] == "awaiting_approval", otherwise=f"the refund is {refund}")
    playground.tell(f"Finance asks for {refund['amount']} ETB back: above the limit, so it waits for a second person.")
    refused = finance.posts(f"/refunds/{refund['id']}/approve/", {}, expect=403)
    playground.tell(f"Who asked cannot approve: 403 {refused['code']}.")
    approver.posts(f"/refunds/{refund['id']}/approve/", {}, expect=200)
    _refund_at_chapa(playground, payment["tx_ref"])
    playground.expect(shopper.mails() == 1, otherwise="the shopper was told before the money had arrived")
    playground.tell("A second person approves, and Chapa has it. Nobody is told anything yet.")
    _arrives_at_the_customer(playground, payment["tx_ref"])
    shopper.waits_until("refunded", seconds=120)
    playground.eventually(lambda: shopper.mails() == 2, what="the mail that says so", seconds=120)
    after = stock_of(playground, slug="mesob")
    playground.expect(after == before, otherwise=f"{after} available, {before} before the order")
    playground.tell(
        f"It has arrived: the order is refunded, the shopper told, and {after} pieces are back on the shelf."
    )


def a_discrepancy_is_found_at_night(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order(sku="BOOK-FIKR-01", quantity=1)
    shopper.starts_to_pay()
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    payment = shopper.attempts()[0]
    control(playground, f"/transactions/{payment['tx_ref']}/refund", {"webhook": False})
    playground.tell("Somebody refunds the payment in Chapa's dashboard, and no webhook says so.")
    finance = Clerk(playground, "finance")
    run = finance.posts("/reconciliation/runs/", {}, expect=202)

    def finished() -> bool:
        runs = finance.looks_at("/reconciliation/runs/")["results"]
        return any(each["id"] == run["id"] and each["status"] == "finished" for each in runs)

    playground.eventually(finished, what="the run over Chapa's list finished", seconds=120)

    def opened() -> list[dict[str, Any]]:
        found = finance.looks_at("/reconciliation/discrepancies/?status=open&kind=status")["results"]
        return [each for each in found if each["order_number"] == shopper.order["number"]]

    discrepancy = playground.eventually(opened, what="the discrepancy")[0]
    playground.tell(
        f"The nightly run, started by hand, finds it: ours says {discrepancy['ours']}, Chapa's list "
        f"{discrepancy['theirs']}. The order is still {shopper.looks()['status']}: nothing is mended silently."
    )
    finance.posts(
        f"/reconciliation/discrepancies/{discrepancy['id']}/resolve/",
        {"resolution": "accept_theirs", "reason": "refunded in the dashboard on the customer's call"},
        expect=200,
    )
    shopper.waits_until("refunded")
    playground.tell("Finance accepts it with a reason: booked, and the order is refunded.")


def a_worker_is_killed_while_settling(playground: Playground) -> None:
    shopper = Shopper(playground)
    shopper.places_an_order(sku="SPICE-MITM-100", quantity=1)
    shopper.starts_to_pay()
    tx_ref = shopper.payment["tx_ref"]
    control(
        playground,
        "/faults",
        {
            "kind": "hang", "match": {"route": "verify", "tx_ref": tx_ref}, "times": 3, "when": "after",
            "params": {"seconds": 20},
        },
    )  # fmt: skip
    control(playground, f"/transactions/{tx_ref}/pay", {"callback": False})

    def is_asking() -> bool:
        seen = requests.get(
            f"{playground.sandbox_url}/control/requests", params={"route": "verify", "tx_ref": tx_ref}, timeout=SECONDS
        )
        return bool(seen.json()["count"])

    playground.eventually(is_asking, what="a worker asking Chapa about the payment")
    pid = playground.system.kill(name="worker")
    killed_at = time.monotonic()
    playground.expect(shopper.looks()["status"] == "awaiting_payment", otherwise="it was settled before the kill")
    playground.tell(
        f"The worker (process {pid}) was killed with SIGKILL while it was settling: Chapa has the money, we"
    )
    playground.tell("have written nothing yet.")
    shopper.waits_until("paid")
    playground.tell(f"A new worker found the payment again: paid {time.monotonic() - killed_at:.1f} s later.")
    playground.eventually(lambda: shopper.mails() >= 1, what="the confirmation mail", seconds=120)
    settling = [attempt for attempt in shopper.attempts() if attempt["settles_order"]]
    playground.expect(len(settling) == 1, otherwise=f"{len(settling)} payments settle the order")
    playground.expect(shopper.mails() == 1, otherwise=f"{shopper.mails()} mails were sent")
    playground.tell("One payment, one mail.")


def _refund_at_chapa(playground: Playground, tx_ref: str) -> dict[str, str]:
    """What Chapa's books say of a payment, as soon as some of it is on its way back."""
    playground.eventually(
        lambda: chapas_books(playground)[tx_ref]["refunding"] != "0", what="a refund at Chapa", seconds=120
    )
    return chapas_books(playground)[tx_ref]


def _arrives_at_the_customer(playground: Playground, tx_ref: str) -> None:
    """Days pass at Chapa, and the refund of a payment arrives."""
    shown = requests.get(f"{playground.sandbox_url}/control/transactions/{tx_ref}", timeout=SECONDS).json()
    for refund in shown["transaction"]["refunds"]:
        control(playground, f"/refunds/{refund['ref_id']}/refunded", {})


STORIES: Sequence[Story] = (
    Story(number=0, title="The system is up", play=the_system_is_up),
    Story(number=1, title="An order is paid", play=an_order_is_paid),
    Story(number=2, title="The webhook never comes", play=the_webhook_never_comes),
    Story(number=3, title="Chapa hangs after creating the session", play=chapa_hangs_after_creating_the_session),
    Story(number=4, title="A forged webhook, and a genuine one for less money", play=forged_and_short),
    Story(number=5, title="A hundred copies of one webhook", play=a_hundred_copies),
    Story(number=6, title="The shopper never pays", play=the_shopper_never_pays),
    Story(number=7, title="The broker is away while a payment succeeds", play=the_broker_is_away, breaks=("valkey",)),
    Story(
        number=8,
        title="One order is paid twice, and the second payment goes back by itself",
        play=a_second_payment_goes_back,
    ),
    Story(number=9, title="A refund that needs a second person", play=a_refund_is_approved),
    Story(number=10, title="A discrepancy is found at night and resolved", play=a_discrepancy_is_found_at_night),
    Story(
        number=11,
        title="A worker is killed in the middle of a settlement",
        play=a_worker_is_killed_while_settling,
        breaks=("worker",),
    ),
    Story(
        number=12,
        title="A page is told what happens, by a process that is killed",
        play=the_page_is_told,
        breaks=("live",),
    ),
)
