from __future__ import annotations

import re
import ssl
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.timezone import now

from notifications import channels, delivery
from notifications.checks import channels_are_known, networks_are_networks
from notifications.failures import Undelivered, Verdict
from notifications.letters import Letter
from notifications.models import ChannelKind, Notification
from tests.notifications import mail_server as servers
from tests.notifications import stories
from tests.notifications.mail_server import DROP, HANG, MailServer

TEMPORARY, CONFIGURATION, PERMANENT = Verdict.TEMPORARY, Verdict.CONFIGURATION, Verdict.PERMANENT


def letter(**changes: str) -> Letter:
    fields = {
        "recipient": "abebech@gmail.com",
        "language": "am",
        "message_id": "<one@nexus.example>",
        "date_header": "Sat, 21 Nov 2026 05:05:00 +0000",
        "subject": "ትዕዛዝ K7M2-9QXD ተረጋግጧል",
        "text": "እናመሰግናለን\n",
        "html": "<p>እናመሰግናለን</p>",
    }
    return Letter(**{**fields, **changes})


def send(**changes: str) -> None:
    channels.MailChannel().send(letter=letter(**changes))


def why_not(**changes: str) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        send(**changes)
    return caught.value


@pytest.mark.parametrize(
    "subject",
    [
        "ትዕዛዝ K7M2-9QXD ተረጋግጧል",
        "ወደ Nexus መለያዎ አዲስ መግቢያ ተጨምሯል እና ትዕዛዝ K7M2-9QXD ተረጋግጧል በአዲስ አበባ ውስጥ",
        "ት" * 200,
        "Order K7M2-9QXD – confirmed",
        "Order K7M2-9QXD is confirmed",
        "An order whose name is so long that its subject has to go on in another line: K7M2-9QXD is confirmed",
    ],
)
def test_a_subject_begins_where_it_is_announced_and_no_line_of_it_is_long(mail_server: MailServer, subject):
    send(subject=subject)

    raw = mail_server.raw[0].decode("utf-8")
    header = re.search(r"^Subject:(.*(?:\r?\n[ \t].*)*)", raw, re.MULTILINE)
    assert header is not None
    first, *others = header[1].splitlines()
    assert first.strip(), "nothing behind the colon"
    assert max(len(line) for line in [f"Subject:{first}", *others]) <= 78
    assert mail_server.mails[0]["Subject"] == subject


def test_a_mail_arrives_as_it_was_written(mail_server: MailServer):
    send()

    mail = mail_server.mails[0]
    assert mail_server.recipients == ["abebech@gmail.com"]
    assert mail["To"] == "abebech@gmail.com"
    assert mail["From"] == "Nexus <orders@nexus.example>"
    assert mail["Subject"] == "ትዕዛዝ K7M2-9QXD ተረጋግጧል"
    assert mail["Message-ID"] == "<one@nexus.example>"
    assert parsedate_to_datetime(mail["Date"]).isoformat() == "2026-11-21T05:05:00+00:00"
    assert servers.text_of(mail).strip() == "እናመሰግናለን"
    assert servers.html_of(mail).strip() == "<p>እናመሰግናለን</p>"
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_a_mail_says_that_a_machine_wrote_it_so_that_no_machine_answers(mail_server: MailServer):
    send()

    mail = mail_server.mails[0]
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-generated", "All")
    assert mail["Content-Language"] == "am"


@pytest.mark.parametrize(
    ("stage", "answer", "verdict"),
    [
        ("MAIL", "421 too busy", TEMPORARY),
        ("MAIL", "451 try later", TEMPORARY),
        ("MAIL", "550 5.7.1 sender not allowed", CONFIGURATION),
        ("MAIL", "530 5.7.0 authenticate first", CONFIGURATION),
        ("RCPT", "421 too many connections", TEMPORARY),
        ("RCPT", "450 4.2.1 mailbox busy", TEMPORARY),
        ("RCPT", "452 4.2.2 mailbox full", TEMPORARY),
        ("RCPT", "535 authenticate", CONFIGURATION),
        ("RCPT", "554 5.7.1 relay access denied", CONFIGURATION),
        ("RCPT", "550 5.1.1 no such user", PERMANENT),
        ("RCPT", "552 5.2.2 mailbox full", PERMANENT),
        ("RCPT", "554 no", PERMANENT),
        ("DATA", "421 shutting down", TEMPORARY),
        ("DATA", "450 later", TEMPORARY),
        ("DATA", "452 no space", TEMPORARY),
        ("DATA", "535 authenticate", CONFIGURATION),
        ("DATA", "550 content refused", PERMANENT),
        ("DATA", "552 too large", PERMANENT),
        ("DATA", "554 looks like spam", PERMANENT),
        ("MAIL", HANG, TEMPORARY),
        ("RCPT", HANG, TEMPORARY),
        ("DATA", HANG, TEMPORARY),
        ("MAIL", DROP, TEMPORARY),
        ("RCPT", DROP, TEMPORARY),
        ("DATA", DROP, TEMPORARY),
    ],
)
def test_each_answer_of_a_server_has_its_consequence(stage, answer, verdict, mail_server: MailServer, settings):
    mail_server.script[stage] = answer
    if answer == HANG:
        settings.EMAIL_TIMEOUT = 1

    failure = why_not()

    assert failure.verdict is verdict
    assert mail_server.mails == []
    assert "abebech" not in failure.reason


def test_a_server_that_falls_silent_after_taking_the_mail_gets_it_again_under_the_same_message_id(mail_server):
    mail_server.script["ACCEPTED"] = DROP
    assert why_not().verdict is TEMPORARY, "whether it was taken cannot be known"

    mail_server.script.clear()
    send()

    assert len(mail_server.mails) == 2
    assert set(mail_server.message_ids()) == {"<one@nexus.example>"}


def test_a_server_that_says_goodbye_in_no_proper_way_has_taken_the_mail_all_the_same(mail_server):
    mail_server.script["QUIT"] = "221 " + "bye" * 4000

    send()

    assert len(mail_server.mails) == 1


@pytest.mark.parametrize(
    ("greeting", "verdict"),
    [
        (b"554 no service here\r\n", CONFIGURATION),
        (b"421 too busy\r\n", TEMPORARY),
        (b"what is this\r\n", TEMPORARY),
        (None, TEMPORARY),
    ],
)
def test_a_server_that_does_not_greet_us_is_away(greeting, verdict, mail_server, settings):
    if greeting is None:
        settings.EMAIL_TIMEOUT = 1
    with servers.greeting_with(greeting) as settings.EMAIL_PORT:
        failure = why_not()

    assert failure.verdict is verdict
    assert failure.outage


def test_a_server_that_is_not_there_is_away(mail_server, settings):
    with servers.nobody_there() as settings.EMAIL_PORT:
        failure = why_not()

    assert (failure.verdict, failure.outage) == (TEMPORARY, True)


def test_a_server_that_wants_no_password_and_one_that_speaks_no_tls_are_set_up_otherwise(mail_server, settings):
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "nexus", "secret"
    assert why_not().verdict is CONFIGURATION

    settings.EMAIL_USE_TLS = True
    failure = why_not()

    assert failure.verdict is CONFIGURATION
    assert failure.outage


def test_a_certificate_that_is_not_to_be_trusted_is_not_overlooked():
    failure = channels.failures.while_connecting(ssl.SSLCertVerificationError("self-signed"))

    assert failure.verdict is CONFIGURATION


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "abebech",
        "abebech@",
        "a b@gmail.com",
        "a@b@gmail.com",
        "abebech@gmail.com\nBcc: all@gmail.com",
        "a@b.c,d@e.f",
    ],
)
def test_a_malformed_address_never_reaches_the_server(recipient, mail_server: MailServer):
    failure = why_not(recipient=recipient)

    assert (failure.verdict, failure.reason) == (PERMANENT, "malformed address")
    assert mail_server.conversations == 0


def test_a_header_cannot_be_smuggled_in(mail_server: MailServer):
    failure = why_not(subject="Order\nBcc: all@gmail.com")

    assert (failure.verdict, failure.reason) == (PERMANENT, "cannot be put into bytes: BadHeaderError")
    assert mail_server.conversations == 0


@pytest.mark.django_db(transaction=True)
def test_a_mail_is_never_sent_inside_a_transaction(mail_server: MailServer, settings, tmp_path):
    settings.EMAIL_FILE_PATH = str(tmp_path)

    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        send()
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        channels.ConsoleSms().send(letter=letter())

    assert mail_server.conversations == 0
    assert list(tmp_path.iterdir()) == []


# --- SMS --------------------------------------------------------------------------------------------------------------


def test_a_text_message_stands_in_the_log_without_its_number_and_its_words(log, settings):
    channels.ConsoleSms().send(letter=letter(recipient="+251911234567", text="order K7M2 token=abc"))

    assert [line["characters"] for line in log.of("sms.sent")] == [20]
    for personal in ("911234567", "K7M2", "abc"):
        assert personal not in log.text


def test_in_development_a_text_message_lies_beside_the_mails(settings, tmp_path):
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")

    channels.ConsoleSms().send(letter=letter(recipient="+251911234567", text="እናመሰግናለን"))

    (file,) = (tmp_path / "mail").iterdir()
    assert file.name.endswith("-one@nexus.example.sms.txt")
    assert file.read_text(encoding="utf-8") == "To: +251911234567\n\nእናመሰግናለን"


def test_a_folder_that_cannot_be_written_is_ours_to_put_right(settings, tmp_path):
    (tmp_path / "file").touch()
    settings.EMAIL_FILE_PATH = str(tmp_path / "file" / "mail")

    with pytest.raises(Undelivered) as caught:
        channels.ConsoleSms().send(letter=letter(recipient="+251911234567"))

    assert (caught.value.verdict, caught.value.outage) == (CONFIGURATION, True)


def test_the_channels_are_those_of_the_settings(settings):
    assert set(channels.configured()) == set(ChannelKind)
    assert channels_are_known() == []

    settings.SMS_CHANNEL = "pigeon"
    with pytest.raises(ImproperlyConfigured, match="pigeon"):
        channels.configured()
    assert [(error.id, "none of: console" in error.msg) for error in channels_are_known()] == [
        ("notifications.E001", True)
    ]


# --- From the row to the server ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_mail_server_that_is_down_for_two_hours_costs_no_mail(mail_server: MailServer, settings):
    notification = stories.confirmation(email="abebech@gmail.com")
    began = notification.queued_at
    with servers.nobody_there() as settings.EMAIL_PORT:
        for minutes in (0, 30, 60, 120):
            stories.make_due(notification)
            delivery.deliver(
                notification_id=notification.pk,
                channels=channels.configured(),
                at=began + timedelta(minutes=minutes),
            )
            notification.refresh_from_db()
            assert notification.status == "queued"
            assert re.fullmatch(r"connecting: ConnectionRefusedError: .*", notification.last_error)

    settings.EMAIL_PORT = mail_server.port
    stories.make_due(notification)
    delivery.deliver(notification_id=notification.pk, channels=channels.configured(), at=began + timedelta(hours=2))

    assert mail_server.message_ids() == [notification.message_id]
    assert Notification.objects.get().status == "sent"


@pytest.mark.django_db
def test_a_refused_recipient_leaves_a_failed_row_that_says_why_and_names_nobody(mail_server: MailServer, log):
    mail_server.script["RCPT"] = "550 5.1.1 <abebech@gmail.com> abebech unknown"
    notification = stories.confirmation(email="abebech@gmail.com")

    delivery.deliver(notification_id=notification.pk, channels=channels.configured(), at=now())

    row = Notification.objects.get()
    assert (row.status, row.last_error) == ("failed", "recipient refused: 550 5.1.1 <[address]> [address] unknown")
    assert "abebech" not in log.text


def test_a_network_that_is_none_is_named_at_the_start(settings):
    settings.OUTBOUND_PRIVATE_NETWORKS = ["10.1.2.0/24", "10.1.2.3/8", "the office"]

    assert [(error.id, error.msg.split("'")[1]) for error in networks_are_networks()] == [
        ("notifications.E002", "10.1.2.3/8"),
        ("notifications.E002", "the office"),
    ]
