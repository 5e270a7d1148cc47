"""What does not agree, and what was decided about it; runs and what they found."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import escape
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import DeskForm, FormOfRows, ReadOnlyAdmin, Text, actor, ask, decision, refused
from core.errors import DomainError
from orders import numbers
from orders.models import Order
from payments import applying, discrepancies, nightly, providers, references, repayments, resolutions
from payments.admin import counted
from payments.flow import DiscrepancyStatus
from payments.models import Discrepancy, DiscrepancyKind, ReconciliationRun, Resolution
from payments.payouts import EAST_AFRICA

_K, _R = DiscrepancyKind, Resolution
WORDS: Final[dict[Resolution, Text]] = {
    _R.EXPLAINED: _("Explained: nothing is wrong, or it was put right elsewhere. Nothing is booked."),
    _R.MATCHED: _("It belongs to an attempt of ours, named below. Chapa is asked about that one."),
    _R.ACCEPT_THEIRS: _("Their value is right: the difference is written off, on the account “differences”."),
    _R.REFUND: _("Give the money back to the customer."),
    _R.NOT_RECEIVED: _("No money of ours came: take the booking back."),
    _R.APPLIED: _("Let it pay another order, named below: nothing goes back."),
}
WORDS_OF_KIND: Final[dict[tuple[Resolution, DiscrepancyKind], Text]] = {
    (_R.ACCEPT_THEIRS, _K.MISSING_HERE): _("The money is there: keep it for a customer who is not known yet."),
    (_R.ACCEPT_THEIRS, _K.MISSING_THERE): _("It never came to Chapa: write it off, on the account “differences”."),
    (_R.ACCEPT_THEIRS, _K.FEE): _("Their fee is right: book the difference as a fee."),
    (_R.ACCEPT_THEIRS, _K.STATUS): _("Chapa gave it back without us: write that refund down."),
}


class ResolutionForm(FormOfRows):
    """What was decided, and why. Only what is possible for all that was chosen is offered."""

    resolution = forms.ChoiceField(label=_("Decision"), widget=forms.RadioSelect)
    tx_ref = forms.CharField(
        label=_("tx_ref of the attempt"), max_length=50, required=False, help_text=_("Only where it belongs to one.")
    )
    order = forms.CharField(label=_("Number of the order to pay"), max_length=12, required=False)
    another_customer = forms.BooleanField(
        label=_("It is another customer's order, and that is meant"),
        required=False,
        help_text=_("Only where it shares no account, e-mail address or phone number with the order of this money."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=300)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = resolutions.possible_of(self.rows).values()
        common = [answer for answer in Resolution if offered and all(answer in each for each in offered)]
        if len(self.rows) > 1 and Resolution.APPLIED in common:
            common.remove(Resolution.APPLIED)  # one order is paid by the money of one payment
        kinds = {DiscrepancyKind(row.kind) for row in self.rows}
        words = {
            answer: WORDS_OF_KIND.get((answer, next(iter(kinds))), WORDS[answer]) if len(kinds) == 1 else WORDS[answer]
            for answer in common
        }
        self.fields["resolution"].choices = [(answer.value, text) for answer, text in words.items()]  # type: ignore[attr-defined]
        if Resolution.MATCHED not in common:
            del self.fields["tx_ref"]
        if Resolution.APPLIED in common:
            self.fields["order"].help_text = self._orders_to_pay(self.rows[0])
        else:
            del self.fields["order"], self.fields["another_customer"]
        if not common:
            said = [
                gettext("It was resolved by %(who)s: %(why)s") % {"who": row.resolved_by, "why": row.reason}
                for row in self.rows
                if row.status != DiscrepancyStatus.OPEN
            ]
            nothing = gettext("Nothing can be decided about all of these at once.")
            self.fields["resolution"].help_text = escape(" ".join(said) or nothing)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("resolution") == Resolution.MATCHED and not given.get("tx_ref"):
            self.add_error("tx_ref", gettext("Which attempt does it belong to?"))
        if given.get("resolution") == Resolution.APPLIED:
            given["order"] = numbers.meant(given.get("order") or "")
            self._check_order(given)
        return given

    def _check_order(self, given: dict[str, Any]) -> None:
        """Whose order it is has to be known before it is paid with somebody's money. The use case looks again."""
        payment = self.rows[0].payment
        order = Order.objects.filter(number=given["order"]).first()
        if order is None:
            self.add_error("order", gettext("Which order is it to pay?"))
        elif not given.get("another_customer") and not applying.is_same_customer(one=payment.order, other=order):
            whose = " ".join(filter(None, (order.first_name, order.last_name, order.email or order.phone_number)))
            warning = gettext("Order %(number)s is another customer's: %(whose)s. Tick this if it is meant.")
            self.add_error("another_customer", warning % {"number": order.number, "whose": whose})

    @staticmethod
    def _orders_to_pay(discrepancy: Discrepancy) -> str:
        """What is left of the money, and the open orders of the same customer that it would pay."""
        payment = discrepancy.payment
        if payment is None:
            return ""
        found = applying.suggested(payment=payment, at=now())
        said = gettext("%(left)s is left of it.") % {"left": repayments.free(payment)}
        if not found:
            return escape(f"{said} {gettext('No open order of the same customer costs that much or less.')}")
        listed = ", ".join(f"{order.number} ({order.total})" for order in found)
        return escape(f"{said} {gettext('Open orders of the same customer:')} {listed}.")


class SnoozeForm(DeskForm):
    days = forms.ChoiceField(
        label=_("For how long"),
        choices=[("1", _("until tomorrow")), ("3", _("three days")), ("7", _("a week")), ("30", _("thirty days"))],
        widget=forms.RadioSelect,
    )


class QueueFilter(admin.SimpleListFilter):
    title, parameter_name = _("queue"), "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Text]]:  # type: ignore[override]  # noqa: ARG002
        return [("waiting", _("waits for somebody")), ("snoozed", _("snoozed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Discrepancy]) -> QuerySet[Discrepancy]:  # noqa: ARG002
        if self.value() == "waiting":
            return queryset.filter(discrepancies.waiting(at=now()))
        if self.value() == "snoozed":
            return queryset.filter(discrepancies.snoozed(at=now()))
        return queryset


def _both_values(discrepancy: Discrepancy) -> str:
    ours, theirs = discrepancy.ours or gettext("nothing"), discrepancy.theirs or gettext("nothing")
    said = gettext("%(ours)s with us, %(theirs)s with them") % {"ours": ours, "theirs": theirs}
    order = f"{discrepancy.order}: " if discrepancy.order else ""
    return f"{order}{said}{'; ' + discrepancy.detail if discrepancy.detail else ''}"


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnlyAdmin):
    list_display = ("subject", "standing", "what", "ours", "theirs", "of_order", "opened", "resolved_by")
    list_filter = (QueueFilter, "status", "kind", ("opened_at", listing.DaysFilter))
    search_fields = ("=id", "=subject", "=order__number", "=payment__tx_ref", "=refund__reference")
    search_help_text = _("Subject, order number, tx_ref, a refund's reference or id")
    ordering = ("-opened_at", "-id")
    list_select_related = ("order", "payment")
    actions = ("resolve", "snooze")

    def spellings(self, term: str) -> list[str]:
        return references.spellings(term)

    @listing.labelled(description=_("status"), tones={"open": "warning", "resolved": "success"})
    def standing(self, discrepancy: Discrepancy) -> tuple[str, str]:
        return discrepancy.status, listing.words(discrepancy.status)

    @admin.display(description=_("kind"))
    def what(self, discrepancy: Discrepancy) -> str:
        return listing.words(discrepancy.kind)

    @admin.display(description=_("order"))
    def of_order(self, discrepancy: Discrepancy) -> str:
        return listing.link(discrepancy.order)

    @admin.display(description=_("opened"))
    def opened(self, discrepancy: Discrepancy) -> str:
        return listing.moment(discrepancy.opened_at)

    @admin.action(description=_("Resolve the chosen discrepancies"), permissions=["resolve"])
    @decision(ResolutionForm, title=_("Resolve"), done=_("resolved"), about=_both_values, recent=True)
    def resolve(self, request: HttpRequest, discrepancy: Discrepancy, given: dict[str, Any]) -> None:
        target = None
        if given["resolution"] == Resolution.APPLIED:
            target = applying.Target(
                number=given["order"],
                mode=providers.chapa_for_web().mode,
                is_anothers=given["another_customer"],
            )
        resolutions.resolve(
            discrepancy_id=discrepancy.pk,
            resolution=Resolution(given["resolution"]),
            reason=given["reason"],
            tx_ref=given.get("tx_ref", ""),
            target=target,
            actor=actor(request),
            at=now(),
        )

    @admin.action(description=_("Leave the chosen discrepancies alone for a while"), permissions=["resolve"])
    @decision(SnoozeForm, title=_("Snooze"), done=_("left alone until then"), about=_both_values)
    def snooze(self, request: HttpRequest, discrepancy: Discrepancy, given: dict[str, Any]) -> None:
        at = now()
        until = at + timedelta(days=int(given["days"]))
        resolutions.snooze(discrepancy_id=discrepancy.pk, until=until, actor=actor(request), at=at)

    def can_do(self, verb: str, row: Discrepancy) -> bool:  # noqa: ARG002 - both verbs are for the same rows
        return row.status == DiscrepancyStatus.OPEN

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.reconcile")


class PeriodForm(DeskForm):
    """Days in East Africa Time, both included."""

    since = forms.DateField(label=_("From"), widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("Up to and including"), widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            chosen = self.data.get(name) if self.is_bound else self.initial.get(name)
            if isinstance(field, forms.DateField) and (day := listing.as_day(chosen)):
                field.help_text = listing.in_ethiopia(day)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("since") and given.get("until") and given["since"] > given["until"]:
            self.add_error("until", gettext("The last day lies before the first."))
        return given


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "standing", "from_then", "till_then", "requested_by", "counted", "begun", "ended")
    list_filter = ("kind", "status")
    exclude = ("counts",)
    readonly_fields = ("counted",)
    ordering = ("-id",)
    change_form_outer_before_template = "payments/run.html"

    @admin.display(description=_("counts"))
    def counted(self, run: ReconciliationRun) -> str:
        return counted.said(run.counts, words=counted.OF_RUNS) or listing.NONE

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        run = self.get_object(request, unquote(object_id))
        told = {"counted": counted.said(run.counts, words=counted.OF_RUNS)} if run is not None else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.reconcile")

    def list_verbs(self, request: HttpRequest) -> list[tuple[Text, str]]:
        compare: tuple[Text, str] = (_("Compare with Chapa's list"), reverse("admin:payments_reconciliationrun_add"))
        return [compare] if self.has_add_permission(request) else []

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """Begin a run over Chapa's list of transactions. Statements are matched by themselves when they come."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        at = now()
        usual = [moment.astimezone(EAST_AFRICA).date() for moment in nightly.period(at=at)]
        asked = PeriodForm(request.POST or None, initial={"since": usual[0], "until": usual[1]})
        if asked.is_valid():
            since, until = (datetime.combine(asked.cleaned_data[n], time(), EAST_AFRICA) for n in ("since", "until"))
            until = min(until + timedelta(days=1), at)
            if since >= until:
                asked.add_error("since", gettext("That day has not begun."))
            else:
                try:
                    run = nightly.start(since=since, until=until, actor=actor(request), at=at)
                except DomainError as refusal:
                    asked.add_error(None, refused(refusal))
                else:
                    return redirect(reverse("admin:payments_reconciliationrun_change", args=[run.pk]))
        return ask(self, request, form=asked, title=_("Compare with Chapa's list"))

    @listing.labelled(description=_("status"), tones={"running": "info", "finished": "success", "failed": "danger"})
    def standing(self, run: ReconciliationRun) -> tuple[str, str]:
        return run.status, listing.words(run.status)

    @admin.display(description=_("from"))
    def from_then(self, run: ReconciliationRun) -> str:
        return listing.moment(run.since)

    @admin.display(description=_("until"))
    def till_then(self, run: ReconciliationRun) -> str:
        return listing.moment(run.until)

    @admin.display(description=_("started"))
    def begun(self, run: ReconciliationRun) -> str:
        return listing.moment(run.started_at)

    @admin.display(description=_("finished"))
    def ended(self, run: ReconciliationRun) -> str:
        return listing.moment(run.finished_at)
