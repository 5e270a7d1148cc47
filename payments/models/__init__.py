"""What is known about money, and who told us."""

from payments.models.payment import Payment, PaymentHistory
from payments.models.webhook import Disposition, WebhookEvent

__all__ = ["Disposition", "Payment", "PaymentHistory", "WebhookEvent"]
