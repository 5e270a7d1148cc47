"""A closed day for people who do the books: its figures in words and tables, made of nothing but its row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from core import ethiopian
from core.spreadsheet import Cell, Sheet
from payments.models import DayClose

ITEMS: Final = (
    "payments_not_paid_out", "refunds_under_way", "refunds_awaiting_approval", "discrepancies", "lines_not_matched",
    "unapplied",
)  # fmt: skip

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "chapa:clearing": "Held by Chapa",
        "bank": "Bank",
        "chapa:fees": "Chapa's fees",
        "sales": "Sales",
        "customers:unapplied": "Customers' money that pays no order",
        "refunds:payable": "Refunds owed",
        "differences": "Written off",
        "payments_not_paid_out": "Payments not paid out to the bank",
        "refunds_under_way": "Refunds under way",
        "refunds_awaiting_approval": "Refunds awaiting approval",
        "discrepancies": "Open discrepancies",
        "lines_not_matched": "Statement lines not matched",
        "unapplied": "Money that pays no order",
        "accounts": "Accounts",
        "account": "Account",
        "currency": "Currency",
        "opening": "Opening",
        "debits": "Debits",
        "credits": "Credits",
        "closing": "Closing",
        "open_items": "Open items",
        "kind": "Kind",
        "what": "What",
        "amount": "Amount",
        "since": "Since",
        "count": "Count",
        "and_more": "… and more",
        "day": "Day",
        "closed_at": "Closed at (UTC)",
        "closed_by": "Closed by",
        "as_of": "Open items as of (UTC)",
        "entries": "Journal entries",
        "chain_length": "Sealed entries",
        "chain_digest": "Last digest of the chain",
        "unsealed": "Entries not sealed yet",
    },
    "am": {
        "chapa:clearing": "ቻፓ ዘንድ ያለ ገንዘብ",
        "bank": "ባንክ",
        "chapa:fees": "የቻፓ የአገልግሎት ክፍያ",
        "sales": "ሽያጭ",
        "customers:unapplied": "ለትዕዛዝ ያልዋለ የደንበኞች ገንዘብ",
        "refunds:payable": "የሚመለስ ገንዘብ",
        "differences": "የተሰረዘ ልዩነት",
        "payments_not_paid_out": "ወደ ባንክ ያልገቡ ክፍያዎች",
        "refunds_under_way": "በሂደት ላይ ያሉ ተመላሾች",
        "refunds_awaiting_approval": "ማጽደቂያ የሚጠብቁ ተመላሾች",
        "discrepancies": "ያልተፈቱ ልዩነቶች",
        "lines_not_matched": "ያልተዛመዱ የሂሳብ መግለጫ መስመሮች",
        "unapplied": "ለትዕዛዝ ያልዋለ ገንዘብ",
        "accounts": "ሂሳቦች",
        "account": "ሂሳብ",
        "currency": "ገንዘብ",
        "opening": "መነሻ",
        "debits": "ዴቢት",
        "credits": "ክሬዲት",
        "closing": "መዝጊያ",
        "open_items": "ያልተዘጉ ጉዳዮች",
        "kind": "ዓይነት",
        "what": "መለያ",
        "amount": "መጠን",
        "since": "ከ",
        "count": "ብዛት",
        "and_more": "… ሌሎችም",
        "day": "ቀን",
        "closed_at": "የተዘጋበት ጊዜ (UTC)",
        "closed_by": "የዘጋው",
        "as_of": "ያልተዘጉ ጉዳዮች የታዩበት ጊዜ (UTC)",
        "entries": "የመዝገብ ምዝገባዎች",
        "chain_length": "የታሸጉ ምዝገባዎች",
        "chain_digest": "የሰንሰለቱ የመጨረሻ አሻራ",
        "unsealed": "ገና ያልታሸጉ ምዝገባዎች",
    },
}
"""Every word of the report, in the languages in which finance may want it."""


def file_name(closed: DayClose) -> str:
    """What the report is called where it is kept."""
    return f"nexus-day-{closed.day:%Y-%m-%d}.xlsx"


def sheets(*, closed: DayClose, language: str) -> list[Sheet]:
    """The report as tables: accounts, open items by name, and what proves that nothing was changed since."""
    word = WORDS[language]
    return [
        Sheet(name=word["accounts"], rows=_accounts(closed, word)),
        Sheet(name=word["open_items"], rows=_items(closed.figures["open_items"], word)),
        Sheet(name=word["day"], rows=_about(closed, word, language)),
    ]


def open_items_sheet(*, items: Mapping[str, Any], language: str) -> Sheet:
    """What `closing.open_items` says, as the report will list it."""
    word = WORDS[language]
    return Sheet(name=word["open_items"], rows=_items(items, word))


def _accounts(closed: DayClose, word: Mapping[str, str]) -> list[list[Cell]]:
    amounts = ("opening", "debits", "credits", "closing")
    heading: list[Cell] = [word[name] for name in ("account", "currency", *amounts)]
    return [
        heading,
        *(
            [word[each["account"]], each["currency"], *(Decimal(each[name]) for name in amounts)]
            for each in closed.figures["accounts"]
        ),
    ]


def _items(open_items: Mapping[str, Any], word: Mapping[str, str]) -> list[list[Cell]]:
    rows: list[list[Cell]] = [[word[name] for name in ("kind", "count", "what", "amount", "since")]]
    for kind in ITEMS:
        items: dict[str, Any] = open_items[kind]
        sums = "; ".join(f"{amount} {currency}" for currency, amount in items["sums"].items())
        rows.append([word[kind], items["count"], "", sums, ""])
        rows += [[word[kind], None, each["what"], each["amount"], each["since"]] for each in items["oldest"]]
        if items["count"] > len(items["oldest"]):
            rows.append([word[kind], items["count"] - len(items["oldest"]), word["and_more"], "", ""])
    return rows


def _about(closed: DayClose, word: Mapping[str, str], language: str) -> list[list[Cell]]:
    figures = closed.figures
    return [
        [word["day"], f"{closed.day:%Y-%m-%d} ({ethiopian.written(closed.day, language=language)})"],
        [word["closed_at"], _to_the_second(closed.closed_at.isoformat())],
        [word["closed_by"], closed.closed_by],
        [word["as_of"], _to_the_second(figures["open_items"]["as_of"])],
        [word["entries"], sum(figures["entries"].values())],
        *([f"{word['entries']}: {kind}", count] for kind, count in figures["entries"].items()),
        [word["chain_length"], figures["chain"]["length"]],
        [word["chain_digest"], figures["chain"]["digest"]],
        [word["unsealed"], figures["chain"]["unsealed"]],
    ]


def _to_the_second(moment: str) -> str:
    return datetime.fromisoformat(moment).isoformat(timespec="seconds")
