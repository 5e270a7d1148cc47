"""What stands in the desk's sidebar: what one works on first, what one looks things up in, what one sets up.

Nobody is shown what they may not open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`model` is `app.model`; `permission` what one needs, by default to view that model."""

    title: str | Promise
    icon: str
    model: str = ""
    page: str = ""
    query: str = ""
    permission: str = ""

    def may(self, request: HttpRequest) -> bool:
        user = request.user
        app, _dot, name = self.model.partition(".")
        needed = self.permission or (f"{app}.view_{name}" if self.model else "")
        return user.is_active and (not needed or user.has_perm(needed))

    @property
    def link(self) -> str:
        name = self.page or f"{self.model.replace('.', '_')}_changelist"
        return reverse(f"admin:{name}") + self.query


GROUPS: Final[tuple[tuple[str | Promise, tuple[Entry, ...]], ...]] = (
    ("", (Entry(title=_("Home"), icon="home", page="index"),)),
    (
        _("Work"),
        (
            Entry(title=_("Discrepancies"), icon="balance", model="payments.discrepancy", query="?queue=waiting"),
            Entry(title=_("Refunds"), icon="undo", model="payments.refund"),
            Entry(title=_("Webhook inbox"), icon="inbox", model="payments.webhookevent"),
            Entry(title=_("Messages"), icon="mail", model="notifications.notification"),
            Entry(title=_("Erasures"), icon="person_remove", model="desk.erasure"),
        ),
    ),
    (
        _("Money"),
        (
            Entry(title=_("Orders"), icon="receipt_long", model="orders.order"),
            Entry(title=_("Payments"), icon="payments", model="payments.payment"),
            Entry(title=_("Asked of Chapa"), icon="forum", model="payments.gatewaycall"),
            Entry(title=_("Journal"), icon="menu_book", model="payments.journalentry"),
        ),
    ),
    (
        _("Reconciliation"),
        (
            Entry(title=_("Runs"), icon="sync", model="payments.reconciliationrun"),
            Entry(title=_("Statements"), icon="description", model="payments.statement"),
            Entry(
                title=_("Order ↔ Chapa ↔ bank"),
                icon="compare_arrows",
                page="payments_three_way",
                permission="payments.view_statementline",
            ),
            Entry(title=_("Statement lines"), icon="table_rows", model="payments.statementline"),
            Entry(title=_("Rows in error"), icon="error", model="payments.statementrowerror"),
            Entry(title=_("Payouts"), icon="account_balance", model="payments.payout"),
            Entry(title=_("Month"), icon="calendar_month", page="month", permission="payments.view_dayclose"),
            Entry(title=_("Closed days"), icon="event_available", model="payments.dayclose"),
            Entry(
                title=_("Journal for accounting"),
                icon="file_export",
                page="desk_accounting",
                permission="desk.export_data",
            ),
            Entry(title=_("My exports"), icon="download", model="desk.export", permission="desk.export_data"),
        ),
    ),
    (
        _("Shop"),
        (
            Entry(title=_("Products"), icon="inventory_2", model="products.product"),
            Entry(title=_("Categories"), icon="category", model="products.category"),
            Entry(title=_("Delivery"), icon="local_shipping", model="orders.deliveryoption"),
        ),
    ),
    (
        _("System"),
        (
            Entry(title=_("Accounts"), icon="group", model="users.user"),
            Entry(title=_("Roles"), icon="shield_person", model="auth.group"),
            Entry(
                title=_("Other systems"),
                icon="webhook",
                model="notifications.webhookendpoint",
                permission="notifications.manage_webhooks",
            ),
            Entry(
                title=_("Told to them"),
                icon="outbox",
                model="notifications.webhookmessage",
                permission="notifications.manage_webhooks",
            ),
            Entry(title=_("Statement formats"), icon="view_column", model="payments.statementformat"),
            Entry(title=_("Audit log"), icon="policy", model="core.auditentry"),
            Entry(title=_("Events"), icon="bolt", model="core.event"),
            Entry(title=_("Redeliveries"), icon="replay", model="core.redelivery"),
            Entry(title=_("Invariants"), icon="verified", model="core.invariantcheck"),
            Entry(title=_("Heartbeats"), icon="monitor_heart", model="core.heartbeat"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups in which this person may open something."""
    shown = []
    for title, entries in GROUPS:
        items = [
            {"title": entry.title, "icon": entry.icon, "link": entry.link} for entry in entries if entry.may(request)
        ]
        if items:
            shown.append({"title": title, "items": items, "separator": False})
    return shown


def merchant(request: HttpRequest) -> str:  # noqa: ARG001 - unfold's signature
    """Whose shop this is."""
    return str(settings.MERCHANT_NAME)


def environment(request: HttpRequest) -> list[str] | None:  # noqa: ARG001
    """A label that says where no real money moves."""
    return None if settings.CHAPA_SECRET_KEY.startswith("CHASECK-") else [str(_("Test mode")), "warning"]
