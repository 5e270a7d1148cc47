"""The mail to finance about an endpoint that was switched off."""

from __future__ import annotations

import re

import pytest
from django.conf import settings as django_settings
from django.utils.timezone import now

from notifications import delivery, letters
from notifications.models import Notification, WebhookEndpoint
from notifications.webhooks import endpoints
from tests.notifications import hooks, stories
from tests.notifications.stories import Postman

pytestmark = pytest.mark.django_db

LANGUAGES = [code for code, _ in django_settings.LANGUAGES]
ETHIOPIC = re.compile(r"[\u1200-\u137f]")


@pytest.fixture(autouse=True)
def _somebody_in_finance(settings):
    settings.FINANCE_EMAILS = ["books@merchant.et"]


def switched_off(system, *, status: int, **fields) -> Notification:
    hooks.endpoint(system, description=fields.get("description", "the <b>ERP</b>\r\nBcc: all@gmail.com"))
    system.status = status
    hooks.deliver(hooks.paid(system), at=now())
    return stories.told("endpoint.disabled")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("because", ["gone", "failing"])
def test_it_says_who_hears_of_nothing_and_why_in_the_language_of_finance(system, settings, language, because):
    settings.FINANCE_LANGUAGE = language
    if because == "failing":
        settings.OUTBOUND_DISABLE_DAYS = 0
    notification = switched_off(system, status=410 if because == "gone" else 500)

    letter = letters.write(notification=notification, facts=letters.gather(notification=notification))

    for part in (letter.subject, letter.text, letter.html):
        assert "ERP" in part
        assert bool(ETHIOPIC.search(part)) is (language == "am")
    for text in (letter.text, letter.html):
        assert "127.0.0.1" in text
        assert ("410" in text) is (because == "gone")
        assert "of=ours" not in text, "the rest of a URL may be a secret"
    assert "<b>ERP" not in letter.html
    assert letter.subject.isprintable()


def test_an_endpoint_that_is_well_again_is_not_told_of(system):
    notification = switched_off(system, status=410)
    endpoints.change(endpoint_id=WebhookEndpoint.objects.get().pk, is_enabled=True, actor="staff:1", at=now())
    postman = Postman()

    delivery.deliver(notification_id=notification.pk, channels=postman.by_mail(), at=now())

    assert Notification.objects.get(pk=notification.pk).status == "withdrawn"
    assert postman.letters == []
