"""Payments, refunds, the journal and what does not agree, for staff: to look at, and to decide with a reason."""

from payments.admin import ledger, payments, reconciliation, refunds, statements

__all__ = ["ledger", "payments", "reconciliation", "refunds", "statements"]
