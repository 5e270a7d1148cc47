from __future__ import annotations

import smtplib
import socket
import ssl

import pytest

from notifications import failures
from notifications.failures import Verdict

TO = "abebech.bekele@gmail.com"
TEMPORARY, CONFIGURATION, PERMANENT = Verdict.TEMPORARY, Verdict.CONFIGURATION, Verdict.PERMANENT


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ConnectionRefusedError("refused"), TEMPORARY),
        (TimeoutError("timed out"), TEMPORARY),
        (socket.gaierror("no such host"), TEMPORARY),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed"), TEMPORARY),
        (smtplib.SMTPConnectError(421, b"too busy"), TEMPORARY),
        (smtplib.SMTPConnectError(554, b"not you"), CONFIGURATION),
        (smtplib.SMTPHeloError(504, b"which name?"), CONFIGURATION),
        (smtplib.SMTPAuthenticationError(454, b"later"), TEMPORARY),
        (smtplib.SMTPAuthenticationError(535, b"wrong password"), CONFIGURATION),
        (smtplib.SMTPNotSupportedError("no STARTTLS here"), CONFIGURATION),
        (ssl.SSLCertVerificationError("self-signed"), CONFIGURATION),
    ],
)
def test_whatever_happens_before_a_recipient_was_named_never_loses_the_message(error, verdict):
    failure = failures.while_connecting(error)

    assert failure.verdict is verdict
    assert failure.outage


@pytest.mark.parametrize(
    ("code", "text", "verdict"),
    [
        (421, b"4.7.0 slow down", TEMPORARY),
        (450, b"4.2.1 mailbox busy", TEMPORARY),
        (451, b"greylisted", TEMPORARY),
        (452, b"4.2.2 mailbox full", TEMPORARY),
        (550, b"5.1.1 no such user", PERMANENT),
        (551, b"moved", PERMANENT),
        (552, b"5.2.2 mailbox full", PERMANENT),
        (553, b"5.1.3 bad address", PERMANENT),
        (554, b"5.0.0 no", PERMANENT),
        (530, b"5.7.0 authenticate first", CONFIGURATION),
        (535, b"authenticate", CONFIGURATION),
        (550, b"5.7.1 unable to relay", CONFIGURATION),
        (554, b"5.7.1 relay access denied", CONFIGURATION),
    ],
)
def test_what_a_server_says_of_a_recipient_is_told_apart_by_its_code(code, text, verdict):
    failure = failures.while_sending(smtplib.SMTPRecipientsRefused({TO: (code, text)}), recipient=TO)

    assert failure.verdict is verdict
    assert failure.outage is (code == 421), "only a server that hangs up would refuse the others too"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(421, TEMPORARY), (451, TEMPORARY), (452, TEMPORARY), (535, CONFIGURATION), (552, PERMANENT), (554, PERMANENT)],
)
def test_what_a_server_says_of_the_message_is_told_apart_by_its_code(code, verdict):
    failure = failures.while_sending(smtplib.SMTPDataError(code, b"no"), recipient=TO)

    assert failure.verdict is verdict
    assert failure.outage is (code == 421)


@pytest.mark.parametrize(("code", "verdict"), [(451, TEMPORARY), (550, CONFIGURATION), (553, CONFIGURATION)])
def test_a_refused_sender_is_ours_to_put_right_and_costs_no_message(code, verdict):
    failure = failures.while_sending(smtplib.SMTPSenderRefused(code, b"not you", "orders@x"), recipient=TO)

    assert failure.verdict is verdict
    assert failure.outage


@pytest.mark.parametrize(
    "error",
    [
        smtplib.SMTPServerDisconnected("gone"),
        TimeoutError("timed out"),
        BrokenPipeError(),
        smtplib.SMTPResponseException(-1, b"gibberish"),
    ],
)
def test_a_conversation_that_breaks_off_is_begun_again_later(error):
    failure = failures.while_sending(error, recipient=TO)

    assert failure.verdict is TEMPORARY
    assert failure.outage


def test_refused_recipients_without_a_reason_are_tried_again():
    assert failures.while_sending(smtplib.SMTPRecipientsRefused({}), recipient=TO).verdict is TEMPORARY


@pytest.mark.parametrize(
    "text",
    [
        f"5.1.1 <{TO}>: Recipient address rejected",
        "5.1.1 user ABEBECH.BEKELE unknown in local table",
        f"no mailbox {TO}; see https://help.example/?a={TO}",
        f"[{TO}] ({TO}) '{TO}' rcpt:{TO},{TO}",
        "SMS to +251 911 23 45 67 refused",
        "SMS to 0911234567 refused",
    ],
)
def test_a_reason_names_nobody_although_servers_like_to_repeat_whom_they_refuse(text):
    reason = failures.while_sending(smtplib.SMTPRecipientsRefused({TO: (550, text.encode())}), recipient=TO).reason

    assert reason.startswith("recipient refused: 550")
    for personal in ("bekele", "gmail", "251", "0911", "23 45"):
        assert personal not in reason.lower()


def test_a_reason_is_one_short_line_whatever_the_server_says():
    said = b"no\r\nInjected: line\x1b[31m\xff\xe2\x80\xa8" + b"x" * 5000

    reason = failures.while_sending(smtplib.SMTPDataError(554, said), recipient=TO).reason

    assert reason.isprintable()
    assert len(reason) < 250


def test_an_error_without_words_is_described_by_its_kind():
    assert failures.describe(BrokenPipeError()) == "BrokenPipeError"
