"""Who on the staff may do what: one table, which `manage.py sync_roles` (run by `prepare`) makes into groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import structlog
from django.contrib.auth.models import Group, Permission
from rest_framework.permissions import BasePermission

from core.transactions import durable
from users.models import User

log = structlog.get_logger(__name__)


class Role(StrEnum):
    SUPPORT = "support"
    """Speaks with customers: sees orders and attempts to pay, cancels, fulfils, has a message sent again."""
    FINANCE = "finance"
    """Asks for refunds, reconciles, resolves what does not agree."""
    FINANCE_APPROVER = "finance_approver"
    """The second person: lets a refund happen or forbids it, and asks for none."""
    CATALOGUE = "catalogue"
    ADMIN = "admin"
    """Accounts and their roles, who is erased, which other systems are told what, and everything the others may.

    Nobody approves what they asked for, here neither.
    """


_SEES_ORDERS: Final = ("orders.view_order", "orders.view_orderline", "orders.view_orderhistory")
_SEES_PAYMENTS: Final = (
    "payments.view_payment", "payments.view_paymenthistory", "payments.view_webhookevent", "payments.view_gatewaycall",
)  # fmt: skip
_SEES_MONEY: Final = (
    *_SEES_ORDERS, *_SEES_PAYMENTS, "payments.view_refund", "payments.view_refundhistory",
    "payments.view_discrepancy", "payments.view_reconciliationrun", "payments.view_journalentry",
    "payments.view_journalline", "payments.view_dayclose", "payments.view_statement", "payments.view_statementline",
    "payments.view_statementrowerror", "payments.view_statementformat", "payments.view_payout",
)  # fmt: skip
_EXPORTS: Final = "desk.export_data"
"""Takes out as a file what it sees in a list. Not for support: nobody who helps one customer needs the list of all."""
_SUPPORT: Final = (
    *_SEES_ORDERS, *_SEES_PAYMENTS, "orders.change_order", "notifications.view_notification",
    "notifications.resend_notification",
)  # fmt: skip
_FINANCE: Final = (
    *_SEES_MONEY, "payments.request_refund", "payments.reconcile", "payments.replay_webhook",
    "payments.add_statementformat", "payments.change_statementformat", _EXPORTS,
)  # fmt: skip
_AUDITS: Final = ("core.view_auditentry",)
_APPROVER: Final = (*_SEES_MONEY, "payments.approve_refund", _EXPORTS, *_AUDITS)
_CATALOGUE: Final = (
    "products.view_category", "products.add_category", "products.change_category", "products.delete_category",
    "products.view_product", "products.add_product", "products.change_product", "orders.view_deliveryoption",
    "orders.add_deliveryoption", "orders.change_deliveryoption", "orders.delete_deliveryoption",
)  # fmt: skip
_WEBHOOKS: Final = (
    "notifications.manage_webhooks", "notifications.view_webhookendpoint", "notifications.view_webhookmessage",
)  # fmt: skip
_ERASES: Final = ("desk.erase_person", "desk.view_erasure", "desk.view_erasurehistory")
_ACCOUNTS: Final = ("users.view_user", "users.add_user", "users.change_user", "users.view_identity", "auth.view_group")

PERMISSIONS: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.SUPPORT: _SUPPORT,
    Role.FINANCE: _FINANCE,
    Role.FINANCE_APPROVER: _APPROVER,
    Role.CATALOGUE: _CATALOGUE,
    Role.ADMIN: (*_SUPPORT, *_FINANCE, *_APPROVER, *_CATALOGUE, *_ACCOUNTS, *_WEBHOOKS, *_ERASES),
}
"""Role → what it may. What was given to a role's group by hand is taken away at the next `sync`."""


def sync() -> None:
    """Make the groups say what the table says. Safe to repeat; members stay members.

    :raises LookupError: for a permission that no model has.
    """
    with durable("roles.sync"):
        known = {
            f"{permission.content_type.app_label}.{permission.codename}": permission
            for permission in Permission.objects.select_related("content_type")
        }
        for role, names in PERMISSIONS.items():
            if missing := sorted(set(names) - set(known)):
                raise LookupError(f"{role} is to have {', '.join(missing)}, which no model knows")
            group, _ = Group.objects.get_or_create(name=role.value)
            group.permissions.set([known[name] for name in names])
    log.info("roles.synced", roles=len(PERMISSIONS))


def give(*, user: User, roles: Iterable[Role]) -> None:
    """Let somebody on the staff act in these roles, besides those they have. The groups must have been synced."""
    user.groups.add(*Group.objects.filter(name__in=[role.value for role in roles]))


def may(permission: str) -> type[BasePermission]:
    """A permission class: staff with this permission, and nobody else."""

    class StaffWith(BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:  # noqa: ARG002 - DRF's signature
            user = request.user
            return isinstance(user, User) and user.is_staff and user.has_perm(permission)

    return StaffWith
