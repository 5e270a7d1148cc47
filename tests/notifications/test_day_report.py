"""The report of a closed day, from its event to the mail that finance opens."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils.timezone import now

from core import spreadsheet
from core.models import Event
from notifications import channels, delivery, dispatch, letters, wording
from notifications.letters import Letter
from notifications.models import Notification
from payments import closing, day_report
from payments.models import DayClose
from tests.notifications import mail_server as servers
from tests.notifications import stories
from tests.notifications.mail_server import MailServer
from tests.notifications.test_letters import ETHIOPIC, Page
from tests.payments import files

pytestmark = pytest.mark.django_db(transaction=True)

LANGUAGES = [code for code, _ in django_settings.LANGUAGES]
FINANCE = ["finance@gmail.com", "books@gmail.com"]


@pytest.fixture(autouse=True)
def _finance(settings: Any) -> None:
    settings.FINANCE_EMAILS = FINANCE


def a_closed_day() -> DayClose:
    """Nine hundred birr that arrived two days ago, and wait to be paid out."""
    files.settled_payment(at=now() - timedelta(days=2))
    day = closing.today(at=now()) - timedelta(days=2)
    return closing.close(day=day, actor="staff:7", at=now())[-1]


def report(*, language: str = "en", settings: Any = None) -> Letter:
    if settings is not None:
        settings.FINANCE_LANGUAGE = language
    a_closed_day()
    assert dispatch.dispatch(event_id=stories.event("day.closed").pk) == 2
    notification = Notification.objects.filter(topic="day.closed").order_by("recipient").first()
    assert notification is not None
    return letters.write(notification=notification, facts=letters.gather(notification=notification))


def test_everybody_in_finance_gets_a_mail_of_their_own_and_once():
    closed = a_closed_day()
    event = stories.event("day.closed")

    assert (dispatch.dispatch(event_id=event.pk), dispatch.dispatch(event_id=event.pk)) == (2, 0)

    told = Notification.objects.filter(event_id=event.pk)
    assert sorted(told.values_list("recipient", "template", "channel", "language")) == [
        (address, "day_closed", "email", "en") for address in sorted(FINANCE)
    ]
    assert {each.day for each in told} == {closed}
    assert all((each.order, each.user) == (None, None) for each in told)


def test_without_anybody_in_finance_nobody_is_told_and_nobody_is_looked_for(settings, log):
    settings.FINANCE_EMAILS = []
    a_closed_day()
    Event.objects.update(published_at=now() - timedelta(hours=1))

    assert dispatch.dispatch(event_id=stories.event("day.closed").pk) == 0
    before = len([line for line in log.lines if line["event"] == "notification.nobody_to_tell"])
    dispatch.catch_up()

    after = len([line for line in log.lines if line["event"] == "notification.nobody_to_tell"])
    assert before == after == 1
    assert not Notification.objects.filter(topic="day.closed").exists()


def test_a_report_whose_task_was_lost_is_made_by_the_sweep():
    a_closed_day()
    Event.objects.filter(topic="day.closed").update(published_at=now() - timedelta(hours=1))

    dispatch.catch_up()

    assert Notification.objects.filter(topic="day.closed").count() == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_mail_says_what_stood_and_what_is_open(language, settings):
    letter = report(language=language, settings=settings)

    word = day_report.WORDS[language]
    for text in (letter.text, Page(letter.html).words):
        assert wording.day(closing.today(at=now()) - timedelta(days=2), language=language) in text
        assert word["chapa:clearing"] in text
        assert "899.00" in text
        assert word["payments_not_paid_out"] in text
        assert DayClose.objects.latest("day").figures["chain"]["digest"] in text
    for part in (letter.subject, letter.text, Page(letter.html).words):
        assert bool(ETHIOPIC.search(part)) is (language == "am")
    assert f'lang="{language}"' in letter.html
    assert letter.subject.isprintable()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_mail_loads_nothing_and_leads_nowhere_but_to_the_books(language, settings):
    page = Page(report(language=language, settings=settings).html)

    assert set(page.addresses) == {f"{settings.PUBLIC_BASE_URL}/admin/"}
    assert not {"img", "script", "link", "iframe", "object", "form", "input", "video", "svg"} & set(page.tags)
    assert not [value for _, value in page.attributes if "url(" in value]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_real_mail_server_receives_report_and_spreadsheet(mail_server: MailServer, settings, language):
    settings.FINANCE_LANGUAGE = language
    settings.EMAIL_TIMEOUT = 60
    closed = a_closed_day()
    dispatch.dispatch(event_id=stories.event("day.closed").pk)

    for notification in Notification.objects.filter(topic="day.closed"):
        outcome = delivery.deliver(notification_id=notification.pk, channels=channels.configured(), at=now())
        assert outcome is not None
        assert outcome.status == "sent"

    assert sorted(mail_server.recipients) == sorted(FINANCE)
    for mail in mail_server.mails:
        (attached,) = mail.iter_attachments()
        assert (attached.get_content_type(), attached.get_filename()) == (
            spreadsheet.MIME_TYPE,
            f"nexus-day-{closed.day:%Y-%m-%d}.xlsx",
        )
        written: Any = attached.get_content()
        assert written == spreadsheet.workbook(sheets=day_report.sheets(closed=closed, language=language))
        with zipfile.ZipFile(io.BytesIO(written)) as archive:
            assert archive.testzip() is None
        assert day_report.WORDS[language]["chapa:clearing"] in servers.text_of(mail)
        assert day_report.WORDS[language]["chapa:clearing"] in servers.html_of(mail)
        assert max(len(line) for line in mail.as_bytes().splitlines()) <= 998


def test_a_letter_to_a_customer_has_nothing_attached():
    notification = stories.confirmation()

    letter = letters.write(notification=notification, facts=letters.gather(notification=notification))

    assert letter.attachments == ()


def test_the_templates_see_words_and_no_rows():
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for each in value.values() for leaf in leaves(each)]
        return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list) else [value]

    report()
    notification = Notification.objects.filter(topic="day.closed").first()
    assert notification is not None

    assert {type(leaf) for leaf in leaves(letters.gather(notification=notification))} == {str}


def test_a_merchants_name_with_line_breaks_stays_on_its_line(settings):
    settings.MERCHANT_NAME = "Nexus\nBcc: all@gmail.com"

    assert report().subject.startswith("Nexus Bcc: all@gmail.com: ")


@pytest.mark.parametrize(
    ("day", "en", "am"),
    [
        (date(2026, 11, 20), "20 November 2026", "ኅዳር 11 ቀን 2019 ዓ.ም. (20/11/2026)"),
        (date(2026, 9, 11), "11 September 2026", "መስከረም 1 ቀን 2019 ዓ.ም. (11/09/2026)"),
    ],
)
def test_a_day_is_written_as_people_write_it(day, en, am):
    assert (wording.day(day, language="en"), wording.day(day, language="am")) == (en, am)


def test_the_day_on_the_report_is_the_business_day_and_not_the_servers():
    at = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)  # 01:30 of the 21st there

    closed = closing.close_due(at=at)

    assert [f"{each.day}" for each in closed] == ["2026-11-20"]
    assert re.fullmatch(r"nexus-day-2026-11-20\.xlsx", day_report.file_name(closed[0]))
