"""What runs and imports have counted, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import Text

OF_RUNS: Final[Mapping[str, Text]] = {
    "pages": _("pages of Chapa's list"),
    "listed": _("payments on Chapa's list"),
    "theirs_compared": _("theirs compared"),
    "ours_compared": _("ours compared"),
    "lines": _("lines looked at"),
    "payouts": _("payouts looked at"),
    "opened": _("new discrepancies"),
}
"""The others are states of lines, and kinds of discrepancies, which have their own words."""

OF_STATEMENTS: Final[Mapping[str, Text]] = {
    "lines": _("new lines"),
    "known": _("known before"),
    "errors": _("rows in error"),
    "passed_over": _("blank or totals"),
}


def said(counts: Mapping[str, int], *, words: Mapping[str, Text]) -> str:
    """Each count beside what was counted: “lines looked at: 1,200 · matched: 1,198”. In the order of `words`,
    for the database keeps none.
    """
    named = [what for what in words if what in counts]
    others = sorted(counts.keys() - words.keys())
    return " · ".join(f"{words.get(what) or listing.words(what)}: {counts[what]:,}" for what in (*named, *others))
