"""What is known about money, and who told us."""

from payments.models.call import GatewayCall
from payments.models.ledger import Account, DayClose, EntryKind, JournalEntry, JournalLine, JournalSeal, JournalUnsealed
from payments.models.listing import ListingProgress, Phase, SeenTransaction
from payments.models.payment import Payment, PaymentHistory
from payments.models.reconciliation import (
    Discrepancy,
    DiscrepancyKind,
    ReconciliationRun,
    Resolution,
    RunKind,
    RunStatus,
)
from payments.models.refund import Refund, RefundCause, RefundHistory
from payments.models.statement import (
    LineState,
    Payout,
    Statement,
    StatementFormat,
    StatementLine,
    StatementRowError,
)
from payments.models.webhook import Disposition, WebhookEvent

__all__ = [
    "Account", "DayClose", "Discrepancy", "DiscrepancyKind", "Disposition", "EntryKind", "GatewayCall", "JournalEntry",
    "JournalLine", "JournalSeal", "JournalUnsealed", "LineState", "ListingProgress", "Payment", "PaymentHistory",
    "Payout", "Phase", "ReconciliationRun", "Refund", "RefundCause", "RefundHistory", "Resolution", "RunKind",
    "RunStatus", "SeenTransaction", "Statement", "StatementFormat", "StatementLine", "StatementRowError",
    "WebhookEvent",
]  # fmt: skip
