"""What may happen in the shop: the rules of the state machine, which the simulation plays too."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Min
from django.test import override_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.money import Currency, Money
from orders import lifecycle
from orders.models import Order
from payments import refunds, settlement
from payments.gateway import RefundVerdict, Verdict
from payments.models import Discrepancy, Payment, Refund
from tests.gateways import GivenBack
from tests.properties.world import ADMIN, SECOND, SILENCES, STOCK, WELL, Mishap, World

mishaps = st.one_of(
    st.just(WELL),
    st.just(WELL),
    st.builds(Mishap, dies_at=st.integers(1, 14)),
    st.builds(Mishap, silence=st.sampled_from(SILENCES[:1]), after=st.booleans()),
    st.builds(Mishap, silence=st.sampled_from(SILENCES)),
)
any_of = st.integers(0, 1_000)


class Shop(RuleBasedStateMachine):
    """Every rule is something that somebody may do at any time. `which` says to which of what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.settings = override_settings(
            # People take their time: a discrepancy that waits long is no broken book.
            INVARIANTS_PARAMETERS=settings.INVARIANTS_PARAMETERS | {"discrepancy_sla": timedelta(days=3650)}
        )
        self.settings.enable()

    @initialize(policy=st.sampled_from(["automatic", "person"]), knows_our_references=st.booleans())
    def it_opens(self, policy, knows_our_references):
        """Chapa documents that it is asked about refunds by its own reference alone; perhaps it is kinder."""
        settings.SURPLUS_POLICY = policy
        self.world.gateway.knows_our_references = knows_our_references

    def one(self, rows, which: int):
        """The same one for the same number, in the order in which they came to be: keys are drawn by lot."""
        if rows.model in {Payment, Refund}:
            rows = rows.annotate(first=Min("history__id")).order_by("first")
        found = list(rows) if rows.query.order_by else list(rows.order_by("pk"))
        return found[which % len(found)] if found else None

    def order(self, which: int) -> Order | None:
        return self.one(Order.objects.all(), which)

    def payment(self, which: int, **those) -> Payment | None:
        return self.one(Payment.objects.filter(**those), which)

    def payable(self, which: int) -> Payment | None:
        """One whose page is open at Chapa, whatever we think of it. Chapa's window is shorter than our watch."""
        said = self.world.gateway.said.items()
        open_there = [tx_ref for tx_ref, each in said if each.verdict in {Verdict.PENDING, Verdict.FAILED}]
        return self.payment(which, tx_ref__in=open_there, next_check_at__isnull=False)

    # Customers

    @rule(sku=st.sampled_from(sorted(STOCK)), quantity=st.integers(1, 3), mishap=mishaps)
    def somebody_orders(self, sku, quantity, mishap):
        self.world.work(lambda: self.world.place(sku, quantity), mishap)

    @rule(which=any_of, mishap=mishaps)
    def somebody_wants_to_pay(self, which, mishap):
        order = self.one(Order.objects.filter(status="awaiting_payment"), which) or self.order(which)
        if order is not None:
            self.world.work(lambda: self.world.start(order), mishap)

    @rule(which=any_of)
    def somebody_pays(self, which):
        payment = self.payable(which)
        if payment is not None:
            self.world.pay(payment)

    @rule(which=any_of, by=st.sampled_from(["-0.01", "-50.00", "0.01", "20.00"]))
    def somebody_pays_less_or_more(self, which, by):
        payment = self.payable(which)
        if payment is not None and payment.amount + Decimal(by) > 0:
            self.world.pay(payment, by=Decimal(by))

    @rule(which=any_of)
    def somebody_pays_in_dollars(self, which):
        payment = self.payable(which)
        if payment is not None:
            self.world.pay(payment, currency=Currency.USD)

    @rule(which=any_of)
    def a_try_fails(self, which):
        payment = self.payable(which)
        if payment is not None:
            self.world.fail(payment)

    @rule(sku=st.sampled_from(sorted(STOCK)), quantity=st.integers(1, 2), more=st.sampled_from(["0", "0", "20.00"]))
    def all_goes_well(self, sku, quantity, more):
        """The beginning of most stories about refunds."""
        world = self.world
        if world.work(lambda: world.place(sku, quantity)) is None:
            return
        order = Order.objects.latest("id")
        world.work(lambda: world.start(order))
        payment = Payment.objects.get(order=order)
        world.pay(payment, by=Decimal(more))
        world.work(lambda: settlement.settle(tx_ref=payment.tx_ref, gateway=world.gateway, at=world.at))

    @rule(sku=st.sampled_from(sorted(STOCK)), quantity=st.integers(1, 2))
    def somebody_pays_too_late_and_orders_again(self, sku, quantity):
        """The beginning of stories about money that pays no order, and could pay another one."""
        world = self.world
        if world.work(lambda: world.place(sku, quantity)) is None:
            return
        order = Order.objects.latest("id")
        world.work(lambda: world.start(order))
        payment = Payment.objects.get(order=order)
        world.work(lambda: lifecycle.cancel(number=order.number, actor="guest", at=world.at))
        world.pay(payment)
        world.work(lambda: settlement.settle(tx_ref=payment.tx_ref, gateway=world.gateway, at=world.at))
        world.work(lambda: world.place(sku, quantity))

    @rule(which=any_of, mishap=mishaps)
    def somebody_cancels(self, which, mishap):
        order = self.order(which)
        if order is not None:
            self.world.work(lambda: lifecycle.cancel(number=order.number, actor="guest", at=self.world.at), mishap)

    # Webhooks: late, twice, never, in any order

    @precondition(lambda self: self.world.post)
    @rule(which=any_of, again=st.booleans(), mishap=mishaps)
    def a_webhook_comes(self, which, again, mishap):
        post = self.world.post
        body = post[which % len(post)] if again else post.pop(which % len(post))
        self.world.work(lambda: self.world.receive(body), mishap)

    @precondition(lambda self: self.world.post)
    @rule(which=any_of)
    def a_webhook_is_lost(self, which):
        self.world.post.pop(which % len(self.world.post))

    @rule(which=any_of)
    def chapa_tells_of_what_nobody_knows(self, which):
        self.world.send(f"nobody-knows-{which}", "charge.success")

    @rule(which=any_of, mishap=mishaps)
    def somebody_comes_back_from_chapas_page(self, which, mishap):
        payment = self.payment(which)
        if payment is not None:
            world = self.world
            world.work(lambda: settlement.settle(tx_ref=payment.tx_ref, gateway=world.gateway, at=world.at), mishap)

    # The system

    @rule(mishap=mishaps)
    def the_relay_publishes(self, mishap):
        self.world.work(self.world.relay, mishap)

    @precondition(lambda self: self.world.queue)
    @rule(which=any_of, again=st.booleans(), mishap=mishaps)
    def a_worker_takes_a_message(self, which, again, mishap):
        queue = self.world.queue
        task = queue[which % len(queue)] if again else queue.pop(which % len(queue))
        self.world.work(lambda: self.world.run(task), mishap)

    @precondition(lambda self: self.world.queue)
    @rule()
    def the_broker_forgets_everything(self):
        self.world.queue.clear()

    @rule(mishap=mishaps)
    def the_sweepers_sweep(self, mishap):
        self.world.work(self.world.sweep, mishap)

    @rule(minutes=st.sampled_from([1, 10, 31, 61, 180, 1500, 6000]))
    def time_passes(self, minutes):
        self.world.at += timedelta(minutes=minutes)

    # The merchant's people

    @rule(which=any_of, mishap=mishaps)
    def somebody_fulfils(self, which, mishap):
        order = self.one(Order.objects.filter(status="paid"), which)
        if order is not None:
            self.world.work(lambda: lifecycle.fulfil(number=order.number, actor=ADMIN, at=self.world.at), mishap)

    @rule(which=any_of, cents=st.one_of(st.none(), st.integers(1, 30_000)), mishap=mishaps)
    def somebody_gives_money_back(self, which, cents, mishap):
        payment = self.payment(which, status="succeeded")
        if payment is not None:
            amount = None if cents is None else Money(Decimal(cents) / 100, Currency(payment.captured_currency))
            self.world.work(
                lambda: refunds.request(
                    payment_id=payment.pk, amount=amount, reason="asked", actor=ADMIN, once=None, at=self.world.at
                ),
                mishap,
            )

    @rule(which=any_of, yes=st.booleans(), mishap=mishaps)
    def somebody_else_decides(self, which, yes, mishap):
        refund = self.one(Refund.objects.filter(status="awaiting_approval"), which)
        if refund is None:
            return
        given = {"refund_id": refund.pk, "actor": SECOND, "at": self.world.at}
        if yes:
            self.world.work(lambda: refunds.approve(**given), mishap)
        else:
            self.world.work(lambda: refunds.reject(reason="no", **given), mishap)

    @rule(which=any_of, choice=any_of, mishap=mishaps)
    def somebody_resolves_a_discrepancy(self, which, choice, mishap):
        discrepancy = self.one(Discrepancy.objects.filter(status="open"), which)
        if discrepancy is not None:
            self.world.work(lambda: self.world.resolve(discrepancy, choice), mishap)

    # Chapa, and the merchant in Chapa's dashboard

    @precondition(lambda self: self.world.gateway.refunds)
    @rule(
        which=any_of,
        verdict=st.sampled_from([RefundVerdict.PROCESSING, RefundVerdict.REFUNDED, RefundVerdict.REVERSED]),
    )
    def chapa_gives_back(self, which, verdict):
        movable = [refund for refund in self.world.gateway.refunds if self.may_move(refund, verdict)]
        if movable:
            self.world.gives_back(movable[which % len(movable)], verdict)

    def may_move(self, refund: GivenBack, verdict: RefundVerdict) -> bool:
        """Chapa's refunds go their way, and may come back while we still watch them."""
        ours = Refund.objects.filter(reference=refund.reference).first()
        if refund.verdict in {RefundVerdict.INITIATED, RefundVerdict.PROCESSING}:
            return ours is None or ours.next_check_at is not None
        comes_back = refund.verdict is RefundVerdict.REFUNDED and verdict is RefundVerdict.REVERSED
        return comes_back and ours is not None and ours.next_check_at is not None

    @rule(which=any_of, cents=st.one_of(st.none(), st.integers(1, 5_000)))
    def somebody_gives_back_in_the_dashboard(self, which, cents):
        payment = self.payment(which, status="succeeded", next_check_at__isnull=False)
        if payment is None or self.world.gateway.said[payment.tx_ref].verdict is not Verdict.SUCCESS:
            return
        left = self.world.gateway.left(payment.tx_ref)
        amount = left if cents is None else min(left, Money(Decimal(cents) / 100, left.currency))
        if amount:
            self.world.gateway.refund_in_dashboard(payment, amount=amount)
            self.world.send(payment.tx_ref, "charge.refunded")

    @rule(which=any_of)
    def a_bank_takes_a_payment_back(self, which):
        payment = self.payment(which, status="succeeded", next_check_at__isnull=False)
        if payment is not None and self.world.gateway.said[payment.tx_ref].verdict is Verdict.SUCCESS:
            self.world.takes_back(payment)

    # After each step, and at the end

    @invariant()
    def the_books_are_right(self):
        nothing_in(self.world.broken())

    def teardown(self):
        try:
            self.everything_comes_to_an_end()
        finally:
            self.settings.disable()

    def everything_comes_to_an_end(self):
        world = self.world
        world.come_to_rest()
        nothing_in(world.unfinished())
        nothing_in(world.broken(tolerance=timedelta(minutes=1)))
        nothing_in(world.disagreements())


def nothing_in(found: list[str]) -> None:
    """:raises AssertionError: with everything that was found."""
    if found:
        raise AssertionError("\n".join(found))
