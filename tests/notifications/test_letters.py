from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import settings as django_settings

from notifications import channels, letters
from notifications.letters import Letter
from notifications.models import Notification
from notifications.rules import RULES, Audience
from orders.access import current_token
from orders.delivery import Wish
from orders.models import Order
from tests import factories
from tests.notifications import stories
from users import recovery

pytestmark = pytest.mark.django_db

TEMPLATES = sorted(
    {rule.template for rules in RULES.values() for rule in rules if rule.audience is not Audience.FINANCE}
)
"""What customers get; the report to finance has tests of its own."""
OF_ACCOUNTS = {
    "welcome": (stories.registered, "user.registered"),
    "password_reset": (stories.reset_asked, "user.reset_asked"),
    "password_changed": (stories.password_changed, "user.password_changed"),
    "second_factor_reset": (stories.second_factor_reset, "second_factor.reset"),
    "identity_linked": (stories.identity_linked, "identity.linked"),
    "erasure_requested": (stories.erasure_requested, "erasure.requested"),
    "erasure_withdrawn": (stories.erasure_withdrawn, "erasure.withdrawn"),
}
"""What leaves by mail only."""
LANGUAGES = [code for code, _ in django_settings.LANGUAGES]
ETHIOPIC = re.compile(r"[\u1200-\u137f]")


def written(notification: Notification, *, for_staff: bool = False) -> Letter:
    facts = letters.gather(notification=notification, for_staff=for_staff)
    return letters.write(notification=notification, facts=facts)


def told(template: str, **fields: Any) -> Notification:
    """A notification by this template, whatever has to happen for it."""
    if template in OF_ACCOUNTS:
        happens, topic = OF_ACCOUNTS[template]
        happens(**{name: fields[name] for name in fields if name in {"language", "first_name", "email"}})
        return stories.told(topic)
    happens, topic = {
        "order_paid": (stories.paid_order, "order.paid"),
        "order_expired": (stories.expired_order, "order.expired"),
        "payment_failed": (stories.failed_payment, "payment.failed"),
        "refunded": (stories.refund_that_arrived, "refund.succeeded"),
    }[template]
    happens(**fields)
    return stories.told(topic)


class Page(HTMLParser):
    """What a mail program finds in an HTML mail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action", "background"}]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_confirmation_says_what_was_bought_and_what_it_cost():
    coffee = factories.product(name="Yirgacheffe 250 g", price="450.00")
    jebena = factories.product(name="Jebena", price="1250.50")
    notification = told("order_paid", items=[(coffee, 2), (jebena, 1)], first_name="Abebech")
    order = notification.order
    assert order is not None

    letter = written(notification)

    assert letter.subject == f"Order {order.number} is confirmed"
    words = " ".join(Page(letter.html).words.split())
    for text in (" ".join(letter.text.split()), words):
        for fact in ("Thank you, Abebech.", order.number, "Yirgacheffe 250 g", "Jebena", "2 × 450.00 ETB",
                     "900.00 ETB", "1,250.50 ETB", "2,150.50 ETB"):  # fmt: skip
            assert fact in text


def test_a_failed_payment_s_link_opens_the_order_until_it_is_no_longer_held():
    notification = told("payment_failed")
    order = notification.order
    assert order is not None
    Order.objects.filter(pk=order.pk).update(expires_at=datetime(2026, 11, 21, 11, 30, tzinfo=UTC))
    order.refresh_from_db()

    letter = written(notification)

    link = f"http://testserver/order/{order.number}/?token={current_token(order)}"
    assert link in letter.text
    assert Page(letter.html).addresses.count(link) == 2, "a button, and the address beneath it"
    assert "21 November 2026, 14:30 (East Africa Time)" in letter.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_link_to_a_new_password_works_as_long_as_the_letter_says(language, settings):
    settings.PASSWORD_RESET_VALID = timedelta(minutes=20)
    notification = told("password_reset", language=language)
    assert notification.user is not None

    letter = written(notification)

    [link] = re.findall(r"^http://testserver/account/password/#\S+$", letter.text, re.MULTILINE)
    assert Page(letter.html).addresses.count(link) == 2, "a button, and the address beneath it"
    assert "20" in letter.text.replace(link, "")
    assert "20" in Page(letter.html).words.replace(link, "")
    token = link.partition("#")[2]
    late = notification.queued_at + timedelta(minutes=20)
    with pytest.raises(recovery.InvalidResetToken):
        recovery.confirm(token=token, password="another-long-phrase-8", at=late)
    recovery.confirm(token=token, password="another-long-phrase-8", at=late - timedelta(seconds=1))


def test_no_other_letter_is_given_the_link_to_a_new_password():
    for template in ("welcome", "password_changed"):
        facts = letters.gather(notification=told(template, email=f"{template}@gmail.com"))

        assert "reset" not in facts


def test_in_amharic_everything_but_names_is_amharic():
    notification = told("payment_failed", language="am", first_name="አበበች")
    Order.objects.update(expires_at=datetime(2026, 11, 21, 11, 30, tzinfo=UTC))
    notification = Notification.objects.select_related("order", "user", "payment").get()

    letter = written(notification)

    assert "900.00 ብር" in letter.text
    assert "ETB" not in letter.text + letter.html
    assert "ኅዳር 12 ቀን 2019 ዓ.ም. ከቀኑ 8፡30 ሰዓት (14:30)" in letter.text
    assert letter.text.startswith("አበበች፣ ክፍያው አልተሳካም።")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", TEMPLATES)
class TestEveryLetter:
    def test_speaks_its_language_in_subject_text_and_html(self, template, language):
        letter = written(told(template, language=language))

        for part in (letter.subject, letter.text, Page(letter.html).words):
            assert bool(ETHIOPIC.search(part)) is (language == "am")
        assert f'lang="{language}"' in letter.html
        assert letter.language == language

    def test_loads_nothing_and_leads_nowhere_but_to_the_shop(self, template, language, settings):
        page = Page(written(told(template, language=language)).html)

        assert page.addresses
        assert all(address.startswith(f"{settings.PUBLIC_BASE_URL}/") for address in page.addresses)
        assert not {"img", "script", "link", "iframe", "object", "form", "input", "video", "svg"} & set(page.tags)
        assert not [value for _, value in page.attributes if "url(" in value]

    def test_takes_names_for_words_and_not_for_markup(self, template, language):
        evil = "<img src=x onerror=alert(1)>\"'&"
        notification = told(template, language=language, first_name=evil)
        if notification.order is not None:
            notification = told(
                template, language=language, first_name=evil, items=[(factories.product(name=f"{evil} coffee"), 1)]
            )

        letter = written(notification)

        page = Page(letter.html)
        assert "img" not in page.tags
        assert evil in page.words
        assert evil in letter.text, "nothing is escaped where nothing can be executed"

    def test_keeps_a_name_with_line_breaks_on_its_line(self, template, language, settings):
        settings.MERCHANT_NAME = "Nexus\nBcc: all@gmail.com"
        notification = told(template, language=language)
        subject = "order" if notification.order is not None else "user"
        person = getattr(notification, subject)
        type(person).objects.filter(pk=person.pk).update(first_name="A\r\nBcc: all@gmail.com\u2028\u202e\x1b[31m")
        notification = Notification.objects.select_related("order", "user", "payment").get()

        letter = written(notification)

        assert letter.subject.isprintable()
        for line in letter.text.splitlines():
            assert line.isprintable() or not line
        assert "A Bcc: all@gmail.com" in letter.text

    def test_reads_well_without_a_name(self, template, language):
        letter = written(told(template, language=language, first_name=""))

        assert not re.search(r"(^|\s)[,፣]|,\s*\.", letter.text)
        assert letter.text.strip()[0] not in ",.፣"

    def test_has_lines_that_every_mail_server_takes(self, template, language):
        long_name = {"items": [(factories.product(name="ቡና " * 50), 1)]} if template not in OF_ACCOUNTS else {}
        letter = written(told(template, language=language, first_name="አ" * 100, **long_name))

        as_sent = channels._mail(letter).message().as_bytes()

        assert max(len(line) for line in as_sent.splitlines()) <= 998

    def test_shows_staff_no_token(self, template, language):
        notification = told(template, language=language)
        letter = written(notification, for_staff=True)

        if notification.order is not None:
            assert current_token(notification.order) not in letter.text + letter.html
            assert f"/order/{notification.order.number}/" in letter.text + letter.html
        if notification.template == "password_reset":
            assert recovery.token_for(user=notification.user, since=notification.queued_at) not in letter.text
            assert Page(letter.html).addresses == ["http://testserver/account/password/#…"] * 2


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", [each for each in TEMPLATES if each not in OF_ACCOUNTS])
def test_a_text_message_is_one_short_line_with_a_link(template, language):
    notification = told(template, language=language, email="", phone_number="+251911234567")

    letter = written(notification)

    assert (letter.recipient, letter.subject, letter.html) == ("+251911234567", "", "")
    assert letter.text.count("\n") == 1
    assert "http://testserver/" in letter.text
    assert bool(ETHIOPIC.search(letter.text)) is (language == "am")
    # Four parts at most: 153 characters each, 67 where one of them is Ethiopic.
    assert len(letter.text) <= (4 * 67 if language == "am" else 4 * 153)


def test_a_letter_is_the_same_each_time_it_is_written():
    notification = told("order_paid")

    assert written(notification) == written(notification)


def test_a_fact_that_is_not_there_is_an_error_and_not_a_gap(tmp_path, settings):
    template = tmp_path / "notifications" / "en" / "order_paid.txt"
    template.parent.mkdir(parents=True)
    template.write_text("Dear {{ customer }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]

    with pytest.raises(letters.BrokenTemplate, match="asks for customer"):
        written(told("order_paid"))


def test_a_merchant_s_own_template_wins_over_ours(tmp_path, settings):
    template = tmp_path / "notifications" / "en" / "order_paid.subject.txt"
    template.parent.mkdir(parents=True)
    template.write_text("{{ merchant }} & you: {{ order.number }}\n")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    notification = told("order_paid")
    assert notification.order is not None

    assert written(notification).subject == f"Nexus & you: {notification.order.number}"


def test_the_templates_see_words_and_no_rows():
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for each in value.values() for leaf in leaves(each)]
        if isinstance(value, list):
            return [leaf for each in value for leaf in leaves(each)]
        return [value]

    facts = letters.gather(notification=told("order_paid"))

    assert {type(leaf) for leaf in leaves(facts)} == {str}


@pytest.mark.parametrize(
    ("language", "how", "where"),
    [
        ("en", "Courier: 150.00 ETB", "Abebech Bekele, B-101, Edna Mall, Kebele 12, Woreda 03, Bole, Addis Ababa"),
        ("am", "መልእክተኛ፦ 150.00 ብር", "Abebech Bekele, B-101, Edna Mall, ቀበሌ 12, ወረዳ 03, Bole, Addis Ababa, አዲስ አበባ"),
    ],
)
def test_a_mail_says_how_the_order_is_delivered_what_that_costs_and_where_it_goes(language, how, where):
    factories.delivery_option(code="courier", price="150.00", name_en="Courier", name_am="መልእክተኛ")
    address = {
        "recipient_name": "Abebech\nBekele", "phone_number": "+251911234567", "region": "addis_ababa",
        "city": "Addis Ababa", "sub_city": "Bole", "woreda": "03", "kebele": "12", "house_number": "B-101",
        "landmark": "Edna Mall",
    }  # fmt: skip

    letter = written(told("order_paid", language=language, wish=Wish(option="courier", address=address)))

    assert f"{how}\n  {where}\n" in letter.text
    assert where in letter.html
    assert "1,050.00" in letter.text


def test_a_mail_says_nothing_of_an_address_that_was_erased():
    factories.delivery_option(code="courier", name_en="Courier")
    notification = told("order_paid", wish=Wish(option="courier", address={"region": "addis_ababa", "city": "Bole"}))
    Order.objects.update(delivery_address=None)
    assert notification.order is not None
    notification.order.refresh_from_db()

    letter = written(notification)

    assert "Courier: 150.00 ETB\nTotal" in letter.text
    assert "Bole" not in letter.text + letter.html
