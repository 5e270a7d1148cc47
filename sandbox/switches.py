"""Every point on which Chapa's sources disagree, as a named switch with a default in two profiles.

`live2026` is what integrators recorded from the running service, `docs` is what the documentation says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PROFILES = ("live2026", "docs")


class UnknownSwitch(ValueError):
    """No such profile, switch, or value of a switch."""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """One disputed behaviour: its values, the default per profile and why it exists."""

    name: str
    values: tuple[str, ...]
    live2026: str
    docs: str
    explanation: str

    def default(self, *, profile: str) -> str:
        """The value that a profile starts with."""
        return self.docs if profile == "docs" else self.live2026


def _switch(name: str, values: str, explanation: str, *, docs: str = "") -> Switch:
    """The first of `values` is the default of `live2026`; `docs` names another for the other profile."""
    options = tuple(values.split(" | "))
    return Switch(name=name, values=options, live2026=options[0], docs=docs or options[0], explanation=explanation)


ALL: Mapping[str, Switch] = {
    switch.name: switch
    for switch in (
        _switch(
            "verify_unpaid",
            "pending | 404_null | 404_text_null | 404_until_attempt",
            "C1: verify of an unpaid transaction. pending: 200 and data.status=pending; 404_null: 404 `Payment "
            'not paid yet` with status null; 404_text_null: the same with the text "null"; 404_until_attempt: '
            "404 until somebody tried to pay, then pending.",
            docs="404_null",
        ),
        _switch(
            "verify_top_status",
            "api | mirror",
            "C2: the top-level status of verify. api: whether the call worked; mirror: the payment's status.",
            docs="mirror",
        ),
        _switch(
            "verify_unknown",
            "400 | 404",
            "C3: verify, cancel of an unknown tx_ref. 400 `Invalid transaction reference` or 404 `Invalid "
            "transaction or Transaction not found`.",
            docs="404",
        ),
        _switch(
            "verify_message",
            "fetched | details",
            "C4: `Payment details fetched successfully` or `Payment details`.",
            docs="details",
        ),
        _switch(
            "verify_failed_attempt",
            "pending | failed",
            "Section 4: what verify says after a failed attempt while the customer may still try again.",
        ),
        _switch(
            "verify_closed_status",
            "failed/cancelled | failed | cancelled",
            "Section 4: data.status of a failed, expired or cancelled transaction.",
        ),
        _switch(
            "verify_partly_refunded",
            "success | refunded",
            "Not documented: data.status after a refund of only a part.",
        ),
        _switch(
            "verify_amounts",
            "number | string | comma",
            'C9: amount and charge of verify. 1000.5, "1000.50" or "1,000.50".',
        ),
        _switch(
            "required_fields",
            "amount_currency_tx_ref | amount_only | with_email",
            "C5: what initialize insists on. With amount_only a missing currency is ETB and a missing tx_ref is "
            "made up.",
        ),
        _switch(
            "form_bodies",
            "accept | refuse",
            "Section 2.2: initialize with a form instead of JSON; refuse answers `Incorrect header settings …`.",
        ),
        _switch(
            "get_with_body",
            "html | ignore",
            "Section 2.5: a GET that carries a body is answered by the edge with an HTML page, or served.",
            docs="ignore",
        ),
        _switch(
            "customization",
            "strict | lax",
            "C12: title up to 16 and description up to 50 characters out of A-Z a-z 0-9 - _ . and space; lax: "
            "anything.",
        ),
        _switch(
            "email_check",
            "deny_list | format | off",
            "Section 3.1: the service looks domains up; the sandbox refuses example.*, test.com, *.local and "
            "other undeliverable ones instead; format: only the shape.",
            docs="format",
        ),
        _switch(
            "phone_error_field",
            "phone_number | email",
            "Section 3.1: a bad phone number is sometimes reported under email.",
        ),
        _switch("amount_scale", "two | any", "Not documented: refuse amounts with more than two decimals."),
        _switch(
            "subaccounts",
            "object | array_too",
            "C24: accept subaccounts only as an object, or as an array of one as well.",
        ),
        _switch("callback_fields", "trx_ref | tx_ref", "C11: the name of the reference in the callback."),
        _switch(
            "callback_form",
            "query | json_body",
            "C11: the callback's values in the query, or in a JSON body of the GET.",
        ),
        _switch(
            "callback_on_failure",
            "off | on",
            "Not documented: whether the callback also fires for failed and cancelled payments.",
            docs="on",
        ),
        _switch("callbacks", "on | off", "Whether callbacks are sent at all."),
        _switch("webhooks", "on | off", "Whether webhooks are sent at all."),
        _switch(
            "webhook_key",
            "webhook_secret | secret_key",
            "C6: webhooks are signed with the dashboard's secret hash, or with the API's secret key.",
        ),
        _switch(
            "webhook_kind",
            "standard | custom_signature | custom_basic",
            "C8: standard sends both headers; custom_signature sends chapa-signature over the body; custom_basic "
            "sends Authorization: Basic (user `chapa`, password: the webhook secret).",
        ),
        _switch(
            "webhook_style",
            "php | js | pretty",
            "Section 5.2: how the signed JSON is written. php escapes / and non-ASCII; js does not; pretty indents.",
        ),
        _switch("webhook_amounts", "string | number | comma", "C9: amounts of a webhook."),
        _switch(
            "webhook_shape",
            "flat | nested",
            "C18: the transaction's fields beside `event`, or below `data`.",
        ),
        _switch(
            "failure_event",
            "charge.failed/cancelled | charge.failed | charge.cancelled",
            "C16: the name (and status) of the event of a failed or cancelled payment.",
        ),
        _switch(
            "refund_event",
            "charge.refunded | refund.success",
            "C15: the event of a refund that arrived.",
        ),
        _switch(
            "refund_failed_event",
            "charge.reversed | refund.reversed | refund.failed | none",
            "C15: the event of a refund that failed and whose money went back to the merchant.",
        ),
        _switch(
            "cancel_webhook",
            "off | on",
            "Section 3.3: no webhook is documented for a transaction that the merchant cancels.",
        ),
        _switch(
            "cancel_refused",
            "400 | 200",
            "Section 3.3: the HTTP status of `Payment link already expired` is not documented.",
        ),
        _switch(
            "refund_path",
            "reference | both",
            "C13: refund takes Chapa's reference only, or the merchant's tx_ref as well.",
        ),
        _switch(
            "refund_verify_path",
            "ref_id | both",
            "Section 3.6: refund verify takes Chapa's ref_id only, or the merchant's own refund reference as well.",
        ),
        _switch(
            "refund_amount",
            "partial | full_only",
            "C14: partial refunds with optional reason, or the older page: the whole amount and a reason.",
        ),
        _switch("refund_ref_field", "ref_id | ref", "Section 3.6: the name of the refund's id in the answer."),
        _switch(
            "refund_balance",
            "check | ignore",
            "Section 3.6: refuse a refund above the available balance with `Insufficient Balance`.",
        ),
        _switch(
            "events_reference",
            "both | tx_ref | reference",
            "C20: which reference the transaction log is asked with.",
        ),
        _switch(
            "banks_status",
            "omit | success",
            "C23: /banks has no status key; some fakes invent one.",
        ),
        _switch(
            "currency_shape",
            "codes | names",
            "C19: currency_code [1,2] and currency_name [ETB,USD]; or message, codes and full names.",
        ),
        _switch(
            "test_charge",
            "percent | zero",
            "Section 6: the fee in test mode as in the documentation's sample, or none.",
        ),
        _switch(
            "return_params",
            "none | append",
            "Section 5.7: the return URL as registered, or with trx_ref and status appended.",
        ),
        _switch(
            "return_redirect",
            "page | 303 | none",
            "After success: a page that moves on by itself, an immediate redirect, or a page that stays.",
        ),
    )
}


class Switches:
    """The switches of one running sandbox."""

    def __init__(self, *, profile: str = "live2026", changes: Mapping[str, str] | None = None) -> None:
        """Start from a profile and apply changes.

        :raises UnknownSwitch: for an unknown profile, switch or value.
        """
        self._start = (profile, dict(changes or {}))
        self.reset()

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def choose(self, *, profile: str) -> None:
        """Set every switch to the profile's default.

        :raises UnknownSwitch: if there is no such profile.
        """
        if profile not in PROFILES:
            raise UnknownSwitch(f"unknown profile {profile!r}: one of {', '.join(PROFILES)}")
        self.profile = profile
        self._values = {name: switch.default(profile=profile) for name, switch in ALL.items()}

    def change(self, *, changes: Mapping[str, str]) -> None:
        """Set several switches, all or none.

        :raises UnknownSwitch: for an unknown switch or value; nothing is changed then.
        """
        for name, value in changes.items():
            if name not in ALL:
                raise UnknownSwitch(f"unknown switch {name!r}")
            if value not in ALL[name].values:
                raise UnknownSwitch(f"{name} cannot be {value!r}: one of {', '.join(ALL[name].values)}")
        self._values.update(changes)

    def reset(self) -> None:
        """As they were at the start."""
        profile, changes = self._start
        self.choose(profile=profile)
        self.change(changes=changes)

    def listing(self) -> list[dict[str, object]]:
        """Each switch with its value, its possible values, the profiles' defaults and its explanation."""
        return [
            {
                "name": switch.name,
                "value": self[switch.name],
                "values": list(switch.values),
                "live2026": switch.live2026,
                "docs": switch.docs,
                "explanation": switch.explanation,
            }
            for switch in ALL.values()
        ]


def parse_assignments(*, texts: Iterable[str]) -> dict[str, str]:
    """Read `name=value` texts, as they stand on a command line.

    :raises UnknownSwitch: if one has no equals sign.
    """
    changes: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UnknownSwitch(f"{text!r} is no switch: write name=value")
        changes[name.strip()] = value.strip()
    return changes
