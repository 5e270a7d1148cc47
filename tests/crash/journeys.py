"""What happens in a shop. Between them the journeys pass every crash point; what a seed decides is drawn first.

A journey is played from its beginning by every process of a case, and each step is taken once: see `play`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any, Final
from uuid import uuid4

from django.utils.timezone import now

from desk import door, exports, wishes
from desk.export_files import Format
from desk.models import Export
from notifications.models import Notification, WebhookMessage
from orders.models import Order
from payments import closing, matching, nightly, providers, replay
from payments.models import Payment, Refund, StatementLine, WebhookEvent
from tests import second_factors
from tests.crash.play import LEAD, OPENED, PASSWORD, STAFF, GaveUp, Play, token_of
from tests.payments import files
from users import recovery, second_factor
from users.models import User

Journey = Callable[[Play], None]
ACCEPTED, UNAUTHORISED = 202, 401


def notices(rng: Random) -> dict[str, Any]:
    """What Chapa tells us of a payment by itself: webhook, callback, one of them, or nothing."""
    return rng.choice(
        [
            {"webhook": True, "callback": True},
            {"webhook": True, "callback": False},
            {"webhook": False, "callback": True},
            {"webhook": False, "callback": False},
        ]
    )


def account(play: Play) -> None:
    """Somebody opens an account, signs in, changes the profile, changes the token, and signs out."""
    email = f"abebech{play.rng.randrange(1000)}@gmail.com"
    person = {"email": email, "password": "a-long-enough-phrase-7", "first_name": "Abebech"}
    play.post("register", "/auth/register/", person)
    play.works()
    bearer = play.sign_in(email)
    play.once("profile", lambda: play.send("PATCH", "/auth/me/", {"last_name": "Bekele", "language": "am"}, **bearer))
    tokens = play.once("tokens", lambda: play.send("POST", "/auth/token/", person_of(person))["body"])
    changed = play.post("refresh", "/auth/token/refresh/", {"refresh": tokens["refresh"]})
    # Where the answer was lost the old token is used up: one signs in again.
    last = changed["body"].get("refresh") or tokens["refresh"]
    play.once("addresses", lambda: _addresses(play, bearer))
    play.post("revoke", "/auth/token/revoke/", {"refresh": last})
    play.works()
    play.sweeps()


def _addresses(play: Play, bearer: dict[str, str]) -> int:
    """Two places, of which the first is changed and the other forgotten again; as many as there are in the end."""
    place = {"recipient_name": "Abebech", "phone_number": "0911234567", "region": "oromia", "city": "Adama"}
    there = "/auth/me/addresses/"
    for _ in range(2):
        play.send("POST", there, place, **bearer)
    for address in play.send("GET", there, **bearer)["body"]["results"]:
        if address["is_default"]:
            play.send("PATCH", f"{there}{address['id']}/", {"landmark": "the old bridge"}, **bearer)
        else:
            play.send("DELETE", f"{there}{address['id']}/", **bearer)
    return len(play.send("GET", there, **bearer)["body"]["results"])


def person_of(person: dict[str, str]) -> dict[str, str]:
    return {"email": person["email"], "password": person["password"]}


def forgotten(play: Play) -> None:
    """Somebody forgets the password, sets another by the mail's link, and later changes that one."""
    email = f"kebede{play.rng.randrange(1000)}@gmail.com"
    play.post("register", "/auth/register/", {"email": email, "password": "a-phrase-to-be-forgotten-1"})
    play.post("ask", "/auth/password/reset/", {"email": email})
    play.post("ask in vain", "/auth/password/reset/", {"email": "nobody@gmail.com"})
    play.works()
    token = recovery.token_for(user=User.objects.get(email=email), since=now())
    play.post("reset", "/auth/password/reset/confirm/", {"token": token, "password": PASSWORD})
    play.once("change", lambda: _change_password(play, email))
    play.works()
    play.later("a day", 1500)
    play.sweeps()


def from_elsewhere(play: Play) -> None:
    """Somebody comes by a provider, twice; and one with a password links the provider, and unlinks it."""
    who, other = (f"{name}{play.rng.randrange(1000)}" for name in ("almaz", "kebede"))
    play.once("first", lambda: _arrive(play, who))
    play.works()
    play.once("again", lambda: _arrive(play, who))
    play.post("register", "/auth/register/", {"email": f"{other}@gmail.com", "password": PASSWORD})
    play.once("link", lambda: _link(play, other))
    play.once("by it", lambda: _arrive(play, other))
    play.once("unlink", lambda: _unlink(play, other))
    play.works()
    play.later("a day", 1500)
    play.sweeps()


def _arrive(play: Play, who: str) -> str:
    """Whoever is told that it was finished before begins again: the answer was lost. :raises GaveUp:"""
    told = play.send("POST", "/auth/providers/local/finish/", play.comes_back(who))
    if "access" not in told["body"]:
        raise GaveUp(f"{who} is not let in: {told}")
    return str(told["status"])


def _link(play: Play, who: str) -> str:
    bearer = play.sign_in(f"{who}@gmail.com")
    told = play.send("POST", "/auth/identities/", play.comes_back(who), **bearer)
    if told["status"] != OPENED:
        raise GaveUp(f"{who} is not linked: {told}")
    return str(told["body"]["id"])


def _unlink(play: Play, who: str) -> int:
    """As many links as are left."""
    bearer = play.sign_in(f"{who}@gmail.com")
    for each in play.send("GET", "/auth/identities/", **bearer)["body"]["results"]:
        play.send("DELETE", f"/auth/identities/{each['id']}/", **bearer)
    return len(play.send("GET", "/auth/identities/", **bearer)["body"]["results"])


def told_elsewhere(play: Play) -> None:
    """Another system is to hear of orders. It is tried, given another secret, told again, and in the end removed."""
    there = "/webhooks/endpoints/"
    body = {"url": play.other_system, "topics": ["order.placed", "order.expired", "order.cancelled"]}
    endpoint = f"{there}{play.post('register', there, body, **play.sign_in(STAFF))['body']['id']}/"
    play.post("try", f"{endpoint}test/", {}, **play.sign_in(STAFF))
    play.works()
    play.post("rotate", f"{endpoint}rotate-secret/", {}, **play.sign_in(STAFF))
    off_and_on = [{"is_enabled": False}, {"is_enabled": True, "description": "the ERP"}]
    play.once("change", lambda: [play.send("PATCH", endpoint, each, **play.sign_in(STAFF)) for each in off_and_on])
    order = play.order("order")
    play.works()
    play.sweeps()
    heard = WebhookMessage.objects.filter(status="delivered").order_by("created_at").first()
    if heard is not None:
        play.post("again", f"/webhooks/messages/{heard.pk}/resend/", {}, **play.sign_in(STAFF))
    if order is not None:
        play.post("cancel", f"/orders/{order['number']}/cancel/", {}, **token_of(order))
    play.works()
    play.sweeps()
    play.once("remove", lambda: play.send("DELETE", endpoint, **play.sign_in(STAFF)))
    play.sweeps()


def erased(play: Play) -> None:
    """Somebody asks to be forgotten, keeps the account after all, and asks again; staff enter a guest, and another one
    whom they withdraw. Two days later both are gone, and Chapa tells once more of what the guest has paid.
    """
    email = f"almaz{play.rng.randrange(1000)}@gmail.com"
    play.post("register", "/auth/register/", {"email": email, "password": PASSWORD, "first_name": "Almaz"})
    ordered = play.once("signed in", lambda: play.sign_in(email))
    order = play.order_as("order", email, **ordered)
    if order is not None:
        play.post("cancel", f"/orders/{order['number']}/cancel/", {}, **ordered)
    there = "/auth/me/deletion/"
    for step, method in (("ask", "POST"), ("keep it", "DELETE"), ("ask again", "POST")):
        play.once(step, lambda method=method: play.send(method, there, **play.sign_in(email)))  # type: ignore[misc]
    bought = play.buy("guest")
    if bought is None:
        return
    guest, tx_ref = bought
    play.post("fulfil", f"/orders/{guest['number']}/fulfil/", {}, **play.sign_in(STAFF))
    other = play.order("other")
    play.desk("enter", lambda: wishes.enter(email=guest["email"], reason="by post", actor="staff:1", at=now()).is_new)
    if other is not None:
        play.desk("enter another", lambda: _enter_and_withdraw(other["email"]))
    play.works()
    play.later("two days", 2900)
    play.sweeps()
    play.once("late", lambda: play.chapa.trigger(event="charge.success", tx_ref=tx_ref)["deliveries"][0]["id"])
    play.hear()
    play.works()
    play.sweeps()


def exported(play: Play) -> None:
    """Staff take a list out: at once, by the worker, in slices, and in vain. Two days later the files are gone."""
    if play.order("first") is None or play.order("second") is None:
        return
    play.desk("at once", lambda: exports.make_at_once(**_list(), at=now()).rows)
    play.desk("whole", lambda: _take_out(budget_seconds=60))
    play.works()
    play.desk("sliced", lambda: _take_out(budget_seconds=0))
    play.works()
    play.desk("in vain", _take_out_in_vain)
    play.works()
    play.later("some minutes", 3)
    play.sweeps()
    play.later("two days", 2900)
    play.sweeps()


def _list() -> dict[str, Any]:
    return {
        "kind": "orders.order", "query": "", "file_format": Format.CSV, "user": User.objects.get(email=STAFF),
    }  # fmt: skip


def _take_out(*, budget_seconds: int) -> str:
    export = exports.request(**_list(), at=now())
    exports.make(export_id=export.pk, clock=now, budget_seconds=budget_seconds, size=1)
    return str(export.pk)


def _take_out_in_vain() -> str:
    """As if it had been begun too often already."""
    export = exports.request(**_list(), at=now())
    Export.objects.filter(pk=export.pk).update(tries=exports.MOST_TRIES)
    return str(export.pk)


def _enter_and_withdraw(email: str) -> str:
    asked = wishes.enter(email=email, reason="by telephone", actor="staff:1", at=now()).erasure
    return str(wishes.withdraw(erasure_id=asked.pk, actor="staff:1", reason="it was not them", at=now()).status)


def _change_password(play: Play, email: str) -> str:
    """Whoever is told that the old one is wrong has changed it before, and did not hear the answer."""
    old = {"email": email, "password": PASSWORD}
    if play.send("POST", "/auth/token/", old)["status"] == UNAUTHORISED:
        return "done"
    body = {"current_password": PASSWORD, "new_password": "a-phrase-to-remember-2"}
    play.send("POST", "/auth/password/change/", body, **play.sign_in(email))
    return "done"


def first_start(play: Play) -> None:
    """A new system gets its roles, its demo catalogue and its demo accounts."""
    play.command("roles", "sync_roles")
    play.command("catalogue", "seed_catalogue")
    play.command("delivery options", "seed_delivery_options")
    play.command("people", "seed_people", file=play.folder / "people.json")


def paid(play: Play) -> None:
    """The usual: placed, paid, confirmed, mailed."""
    heard, quantity = notices(play.rng), play.rng.randint(1, 5)
    order = play.order("order", quantity=quantity)
    if order is None:
        return
    play.start("pay", order)
    play.works()
    tx_ref = play.page("page", order)
    if tx_ref:
        play.pays("chapa", tx_ref, **(heard | {"webhook": True}))
    play.works()
    play.sweeps()


def called_back(play: Play) -> None:
    """No webhook comes: the callback, or nobody, tells us."""
    heard = play.rng.choice([{"webhook": False, "callback": True}] * 3 + [{"webhook": False, "callback": False}])
    order = play.order("order")
    if order is None:
        return
    play.start("pay", order)
    tx_ref = play.page("page", order)
    if tx_ref:
        play.pays("chapa", tx_ref, **(heard | {"callback": True}))
    play.works()
    play.later("a while", 2)
    play.sweeps()


def refused(play: Play) -> None:
    """More than there is; then an order that is cancelled, and a page for it that is asked for all the same."""
    play.order("too much", sku="JAR", quantity=900)
    order = play.order("order")
    if order is None:
        return
    play.post("cancel", f"/orders/{order['number']}/cancel/", {}, **token_of(order))
    play.start("pay", order)
    play.works()


def cancelled(play: Play) -> None:
    """Cancelled while its page is open; some pay on it all the same, before or after."""
    pays_when = play.rng.choice(["never", "before", "after"])
    order = play.order("order", sku="JAR", quantity=2)
    if order is None:
        return
    play.start("pay", order)
    tx_ref = play.page("page", order)
    if tx_ref and pays_when == "before":
        play.pays("chapa before", tx_ref, webhook=False, callback=False)
    play.post("cancel", f"/orders/{order['number']}/cancel/", {}, **token_of(order))
    if tx_ref and pays_when == "after":
        play.pays("chapa after", tx_ref)
    play.works()
    play.sweeps()


def expired(play: Play) -> None:
    """Nobody pays in time; some have never begun to. One pays late."""
    begins, pays_late = play.rng.random() < 0.7, play.rng.random() < 0.4
    order = play.order("order", sku="JAR", quantity=3)
    if order is None:
        return
    tx_ref = None
    if begins:
        play.start("pay", order)
        tx_ref = play.page("page", order)
    play.works()
    play.later("hours", 125)
    play.sweeps()
    if tx_ref and pays_late:
        play.pays("chapa late", tx_ref, force=True)
    play.works()
    play.sweeps()


def answer_lost(play: Play) -> None:
    """Chapa opens the page and its answer is lost, or it never heard of us."""
    fault = play.rng.choice(
        [
            {"kind": "reset", "when": "after"},
            {"kind": "reset", "when": "before"},
            {"kind": "status", "when": "after", "code": 502},
            {"kind": "html"},
            {"kind": "truncated"},
        ]
    )
    first_times, heard = play.rng.choice([1, 1, 2]), notices(play.rng)
    order = play.order("order")
    if order is None:
        return
    play.gone_wrong("fault", route="initialize", times=first_times, **fault)
    play.start("pay", order)
    play.works()
    play.later("a minute", 1)
    play.sweeps()
    play.later("some minutes", 3)
    play.sweeps()
    tx_ref = play.page("page", order)
    if tx_ref:
        play.pays("chapa", tx_ref, **heard)
    play.works()
    play.sweeps()


def failed(play: Play) -> None:
    """The payment fails; the customer takes another page and pays there. Some pay on both."""
    pays_both = play.rng.random() < 0.4
    order = play.order("order")
    if order is None:
        return
    play.start("pay", order)
    first = play.page("first page", order)
    if first is None:
        return
    play.fails("chapa fails", first)
    play.works()
    play.sweeps()
    play.start("pay again", order)
    play.works()
    play.later("a moment", 1)
    play.sweeps()
    second = play.page("second page", order)
    if second:
        play.pays("chapa", second)
    if pays_both:
        play.pays("chapa on the first", first, force=True)
    play.works()
    play.sweeps()


def unsteady(play: Play) -> None:
    """Chapa is slow, forgetful and wrong by turns, and tells things twice."""
    faults = [
        play.rng.choice(
            [
                {"route": "verify", "kind": "status", "code": 503},
                {"route": "verify", "kind": "stale"},
                {"route": "verify", "kind": "html"},
                {"route": "verify", "kind": "unknown_status"},
                {"route": "verify", "kind": "reset", "when": "after"},
                {"route": "cancel", "kind": "reset", "when": "after"},
                {"route": "webhook", "kind": "duplicate", "copies": 3},
                {"route": "webhook", "kind": "drop"},
                {"route": "webhook", "kind": "wrong_signature"},
            ]
        )
        for _ in range(3)
    ]
    orders = [play.order(f"order {n}", quantity=n) for n in (1, 2)]
    for n, fault in enumerate(faults):
        play.gone_wrong(f"fault {n}", **fault)
    for n, order in enumerate(orders):
        if order is not None:
            play.start(f"pay {n}", order)
            tx_ref = play.page(f"page {n}", order)
            if tx_ref:
                play.pays(f"chapa {n}", tx_ref)
    play.works()
    play.later("a while", 2)
    play.sweeps()


def lied_to(play: Play) -> None:
    """Less than was asked, or another currency, or not our mode: held for a person, and never paid."""
    lie = play.rng.choice([{"amount": "1.00"}, {"currency": "USD"}, {"mode": "live"}, {"amount": "100000.00"}])
    order = play.order("order")
    if order is None:
        return
    play.start("pay", order)
    tx_ref = play.page("page", order)
    if tx_ref:
        play.pays("chapa", tx_ref, **lie)
    play.works()
    play.sweeps()


def orphan(play: Play) -> None:
    """Chapa tells of a payment that is not ours, and of things that are none."""
    play.once(
        "orphan", lambda: play.chapa.trigger(event="charge.success", tx_ref="nx-nobody-knows")["deliveries"][0]["id"]
    )
    play.hear()
    play.once("payout", lambda: play.chapa.trigger(event="payout.success")["deliveries"][0]["id"])
    play.hear()
    play.works()
    play.later("a while", 3)
    play.sweeps()
    webhook = WebhookEvent.objects.order_by("pk").first()
    if webhook is not None:
        play.administer("replay", "payments.webhookevent", "replay", webhook)
        play.works()


def staff(play: Play) -> None:
    """Staff ask Chapa about a payment, fulfil the order, and send its mail again."""
    order = play.order("order")
    if order is None:
        return
    play.start("pay", order)
    tx_ref = play.page("page", order)
    if tx_ref is None:
        return
    play.pays("chapa", tx_ref, webhook=False, callback=False)
    play.administer("ask", "payments.payment", "ask_chapa_now", Payment.objects.get(tx_ref=tx_ref))
    play.works()
    play.sweeps()
    play.post("fulfil", f"/orders/{order['number']}/fulfil/", {}, **play.sign_in(STAFF))
    placed = Order.objects.get(number=order["number"])
    play.administer("link", "orders.order", "show_link", placed)
    mail = Notification.objects.filter(order__number=order["number"], status="sent").first()
    if mail is not None:
        play.administer("again", "notifications.notification", "send_again", mail)
    play.works()


def withdrawn(play: Play) -> None:
    """Somebody of the shop has an open attempt closed; the customer pays another one, or nothing."""
    order = play.order("order")
    if order is None:
        return
    play.start("pay", order)
    if play.page("page", order) is None:
        return
    placed = Order.objects.get(number=order["number"])
    play.administer("close", "orders.order", "close_attempt", placed, reason="asked by phone")
    play.works()
    play.later("an hour", 70)
    play.sweeps()


def refunded(play: Play) -> None:
    """Staff give money back, all or a part of it. Chapa's answer may be lost; sometimes the money comes back."""
    amount = play.rng.choice(["", "", "100.00"])
    fault = play.rng.choice(
        [
            None,
            None,
            {"kind": "reset", "when": "after"},
            {"kind": "reset", "when": "before"},
            {"kind": "status", "when": "after", "code": 502},
            {"kind": "html"},
        ]
    )
    is_fulfilled, comes_back = play.rng.random() < 0.4, play.rng.random() < 0.2
    bought = play.buy("order")
    if bought is None:
        return
    order, tx_ref = bought
    if is_fulfilled:
        play.post("fulfil", f"/orders/{order['number']}/fulfil/", {}, **play.sign_in(STAFF))
    if fault:
        play.gone_wrong("fault", route="refund", **fault)
    refund = play.give_back_once("refund", tx_ref, amount=amount)
    play.works()
    play.later("some minutes", 7)
    play.sweeps()
    play.later("an hour", 70)
    play.sweeps()
    if comes_back:
        play.gives_up_a_refund("chapa cannot pay it out", refund)
    play.later("two days", 2900)
    play.sweeps()


def asked_about(play: Play) -> None:
    """A refund's answer is lost, and so nobody but Chapa knows its reference."""
    bought = play.buy("order", quantity=1)
    if bought is None:
        return
    play.gone_wrong("fault", route="refund", kind="reset", when="after")
    play.give_back("refund", bought[1])
    play.works()
    play.later("some minutes", 7)
    play.sweeps()
    play.later("two days", 2900)
    play.sweeps()


def decided(play: Play) -> None:
    """Two refunds so large that somebody else decides: one is approved, the other rejected."""
    by_form = play.rng.random() < 0.5
    bought = play.buy("order", quantity=50)
    if bought is None:
        return
    for step in ("approve", "reject"):
        refund = play.give_back_once(step, bought[1], amount="10100.00")
        play.works()
        if by_form:
            play.administer(f"to {step}", "payments.refund", step, refund, by=LEAD, reason="looked into")
        else:
            body = {"reason": "looked into"} if step == "reject" else {}
            play.post(f"to {step}", f"/refunds/{refund.pk}/{step}/", body, **play.sign_in(LEAD))
    play.works()
    play.later("two days", 2900)
    play.sweeps()


def resolved(play: Play) -> None:
    """Too little was paid: it is held, and a person decides that it goes back, or that it never came."""
    resolution = play.rng.choice(["refund", "refund", "not_received"])
    order = play.order("order")
    if order is None:
        return
    play.start("pay", order)
    tx_ref = play.page("page", order)
    if tx_ref is None:
        return
    play.pays("chapa", tx_ref, amount="800.00")
    play.works()
    play.sweeps()
    discrepancy = play.discrepancy(tx_ref)
    play.administer("snooze", "payments.discrepancy", "snooze", discrepancy, days="1")
    play.administer(
        "resolve", "payments.discrepancy", "resolve", discrepancy, resolution=resolution, reason="it was less"
    )
    play.works()
    play.later("two days", 2900)
    play.sweeps()


def applied(play: Play) -> None:
    """So much came for a cancelled order that somebody else decides whether it goes back: no, for its customer wants
    another order paid with it. What that one does not cost goes back, or waits for somebody.
    """
    quantity = play.rng.choice([1, 30])
    order = play.order("order", quantity=50)
    if order is None:
        return
    play.start("pay", order)
    tx_ref = play.page("page", order)
    if tx_ref is None:
        return
    play.post("cancel", f"/orders/{order['number']}/cancel/", {}, **token_of(order))
    play.pays("chapa", tx_ref)
    play.works()
    play.sweeps()
    refund = Refund.objects.filter(payment__tx_ref=tx_ref).order_by("created_at").first()
    if refund is None:
        raise GaveUp(f"nothing of {tx_ref} goes back yet")
    play.administer("reject", "payments.refund", "reject", refund, by=LEAD, reason="they want something else")
    discrepancy = play.discrepancy(tx_ref)
    other = play.order("another", quantity=quantity, email="order@gmail.com")
    if other is None:
        return
    given = {"resolution": "applied", "order": other["number"], "reason": "asked by telephone"}
    play.administer("apply", "payments.discrepancy", "resolve", discrepancy, **given)
    play.works()
    play.once("paid", lambda: play.is_seen(other))
    play.sweeps()
    play.later("two days", 2900)
    play.sweeps()


def statements(play: Play) -> None:
    """Chapa's file and the bank's statement are taken in, and matched; one payment is in neither."""
    bought = [play.buy(f"order {n}", quantity=n) for n in (1, 2)]
    if None in bought:
        return
    first = Payment.objects.get(tx_ref=bought[0][1])  # type: ignore[index]
    today = files.today()
    rows = [
        f"{first.gateway_reference},{first.captured_amount},{first.fee},,PO-2026-1,ETB",
        "APNOBODY,5.00,0,5.00,,ETB",
        f"{today + timedelta(days=9):%Y-%m-%d},APLATER,5.00,0,5.00,,ETB",
    ]
    play.desk("their file", lambda: files.chapa(*rows).lines)
    net = first.captured_amount - first.fee  # type: ignore[operator]
    play.desk("the bank's", lambda: files.bank(f"PO-2026-1,transfer,,{net}", "FT1,rent,500.00,").lines)
    nobodys = StatementLine.objects.get(reference="APNOBODY").pk
    play.desk("ignore", lambda: matching.ignore(line_id=nobodys, reason="a slip", actor="staff:1", at=now()).state)
    play.desk("match", lambda: _match(today))
    play.desk("reconsider", lambda: _reconsider(nobodys))
    play.desk("match again", lambda: _match(today))
    play.works()
    play.sweeps()


def _match(today: date) -> int:
    days = {"since": today - timedelta(days=9), "until": today + timedelta(days=9)}
    return matching.run(**days, actor="staff:1", at=now()).pk


def _reconsider(line_id: int) -> str:
    """Whoever finds it taken back already has nothing to do."""
    try:
        return str(matching.reconsider(line_id=line_id, actor="staff:1").state)
    except matching.StatementLineNotIgnored:
        return "done"


def listed(play: Play) -> None:
    """Finance have Chapa's own list compared with our books. Chapa is silent at first, and one slice's time is up."""
    bought = play.buy("order")
    if bought is None:
        return
    play.gone_wrong("fault", route="transactions", kind="reset", when="before", times=3)
    run = play.post("run", "/reconciliation/runs/", {}, **play.sign_in(STAFF))
    if run["status"] == ACCEPTED:
        play.desk("no time", lambda: _without_time(run["body"]["id"]))
    play.works()
    play.later("some minutes", 11)
    play.sweeps()


def _without_time(run_id: int) -> None:
    nightly.carry_on(run_id=run_id, gateway=providers.chapa(), clock=now, budget_seconds=0)


def closed_day(play: Play) -> None:
    """Yesterday's books are closed by hand, as far as nobody was quicker."""
    play.desk("replay", _replay)
    play.desk("second factor", _second_factor)
    play.desk("close", _close_yesterday)
    play.works()
    play.sweeps()


def _second_factor() -> str:
    """Somebody new on the staff sets one up, shows a code, and it is reset. Whoever dies in between begins again."""
    user, at = User.objects.create_user(f"{uuid4().hex}@nexus.example", is_staff=True), now()
    second_factors.given(user)
    door.count_try(email=user.email, address=uuid4().hex, at=at)
    second_factor.verify(user=user, code=second_factors.code(user, at=at), at=at)
    second_factor.reset(user_id=user.pk, reason="the telephone is lost", actor="staff:0")
    return "reset"


def _replay() -> int:
    """What was heard of an attempt that nobody made: nothing."""
    wanted = replay.Wanted(tx_ref="nx-nobodys")
    return len(list(replay.replay(wanted=wanted, gateway=providers.chapa(), actor="staff:1", clock=now)))


def _close_yesterday() -> str:
    try:
        return str(len(closing.close(day=files.today() - timedelta(days=1), actor="staff:1", at=now())))
    except closing.DayClosed:
        return "done"


def taken_back(play: Play) -> None:
    """In Chapa's dashboard, or by a dispute, a payment goes back without us. We look again, and a person confirms."""
    by_dispute = play.rng.random() < 0.5
    bought = play.buy("order")
    if bought is None:
        return
    play.later("an hour", 70)
    play.sweeps()
    play.takes_back("chapa takes it back", bought[1], by_dispute=by_dispute)
    play.later("a day", 1500)
    play.sweeps()
    discrepancy = play.discrepancy(bought[1])
    play.administer(
        "resolve", "payments.discrepancy", "resolve", discrepancy, resolution="accept_theirs", reason="seen there"
    )
    play.works()


def nights(play: Play) -> None:
    """Nights pass, and Chapa's list is read, or not given; a payment that was taken back shows in it."""
    bought = play.buy("order", quantity=1)
    if bought is None:
        return
    if play.rng.random() < 0.5:
        play.takes_back("chapa takes it back", bought[1], by_dispute=True)
    play.gone_wrong("fault", route="transactions", kind="status", code=503, times=9)
    play.later("a night", 1500)
    play.sweeps()
    play.later("some minutes", 11)
    play.sweeps()
    play.later("another night", 1500)
    play.sweeps()


JOURNEYS: Final[dict[str, Journey]] = {
    journey.__name__: journey
    for journey in (
        account, forgotten, from_elsewhere, told_elsewhere, erased, first_start, exported, refused, orphan, paid,
        called_back, cancelled, expired, staff, withdrawn, failed, answer_lost, unsteady, lied_to, refunded,
        asked_about, decided, resolved, applied, taken_back, statements, nights, listed, closed_day,
    )
}  # fmt: skip
"""The shortest first: where a point is passed by several, a quick run takes the first of them."""
