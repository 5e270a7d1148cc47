"""Which payment does a webhook speak of? All that is ever taken from its body: what happened is asked of Chapa."""

from __future__ import annotations

from dataclasses import dataclass

from .envelope import for_people
from .strict_json import NotStrictJson, parse
from .wire import token


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookHint:
    """What a webhook claims, unproven. Everything is "" where it is missing or no text.

    `tx_ref` is ours, for payments. `reference` is Chapa's in a payment and ours in a payout, as Chapa has it.
    `event` and `status` are case-folded: `charge.success`, `charge.failed/cancelled`, …
    """

    event: str = ""
    tx_ref: str = ""
    reference: str = ""
    status: str = ""
    is_payout: bool = False


def read(*, body: bytes) -> WebhookHint | None:
    """The hint in a webhook's raw `body`, or None where it is no JSON object. Total: no body makes it raise.

    The flat shape of today is read, and the older one that wraps the fields in `data`.
    """
    try:
        outer = parse(body)
    except NotStrictJson:
        return None
    if not isinstance(outer, dict):
        return None
    inner = outer.get("data")
    fields = {**inner, **outer} if isinstance(inner, dict) else outer
    event = for_people(fields.get("event"), longest=100).casefold()
    return WebhookHint(
        event=event,
        # The callback spells it `trx_ref`; a custom webhook may too.
        tx_ref=token(fields.get("tx_ref")) or token(fields.get("trx_ref")),
        reference=token(fields.get("reference")),
        status=for_people(fields.get("status"), longest=40).casefold(),
        is_payout=event.startswith("payout.") or for_people(fields.get("type")).casefold() == "payout",
    )
