"""What the staff site is made of (`base`), and the system's own rows in it (`system`)."""

from core.admin import system
from core.admin.base import (
    DeskForm,
    FormOfRows,
    ModelAdmin,
    QuickList,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ReasonForm,
    Text,
    Verb,
    WithVerbs,
    actor,
    ask,
    at_once,
    decision,
    refused,
)

__all__ = [
    "DeskForm", "FormOfRows", "ModelAdmin", "QuickList", "ReadOnlyAdmin", "ReadOnlyInline", "ReasonForm", "Text",
    "Verb", "WithVerbs", "actor", "ask", "at_once", "decision", "refused", "system",
]  # fmt: skip
