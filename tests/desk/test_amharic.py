"""The desk in Amharic: nothing is left in English, and each person has the language of their account."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation.template import templatize

from desk import catalogue, names
from orders.models import Order
from tests import factories
from tests.core import test_admin
from users.models import User

staff = test_admin.staff

LISTS = (
    "orders_order", "payments_payment", "payments_refund", "payments_discrepancy", "payments_webhookevent",
    "payments_journalentry", "payments_statement", "payments_statementline", "payments_payout", "payments_dayclose",
    "payments_reconciliationrun", "notifications_notification", "desk_erasure",
)  # fmt: skip
FORMS = (
    "payments_statement_add", "payments_dayclose_add", "payments_reconciliationrun_add", "desk_erasure_add",
    "payments_three_way",
)  # fmt: skip
ALLOWED = {
    # names and what is written alike in every language
    "Nexus", "English", "ETB", "USD", "CSV", "MB", "URL", "UTC", "SHA", "ID", "Message-ID", "tx_ref", "Tx_ref", "esc",
    "telebirr", "sha",
    # what somebody typed, and what rows of the scene are called
    "zzzz", "chapa", "bank", "csv", "chapa-settlement", "bank-example", "staff", "customer", "charge", "success", "nx",
    "the", "beans", "were", "stale", "guest", "payout", "fee", "en", "system",
    # of the machines, as their heartbeats are called
    "broker", "beat", "worker", "live", "relay", "INV", "Product",
}  # fmt: skip
REFERENCES = re.compile(r"\S*\d\S*|[A-Z]{4}-[A-Z]{4}|\bnxr?-\S+|\S+@\S+")
BASE = Path(__file__).parents[2]


class Texts(HTMLParser):
    """What somebody reads or hears of a page."""

    SILENT = ("script", "style", "pre", "code", "template", "silent")
    EMPTY = ("input", "link", "meta", "br", "img", "hr", "path")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in self.EMPTY:
            self._open.append("silent" if "material-symbols" in (given.get("class") or "") else tag)
        self.found += [given[name] for name in ("title", "aria-label", "placeholder") if given.get(name)]

    def handle_endtag(self, tag):
        if self._open and tag not in self.EMPTY:
            self._open.pop()

    def handle_data(self, data):
        if data.strip() and not any(tag in self.SILENT for tag in self._open):
            self.found.append(" ".join(data.split()))


def english(page) -> list[str]:
    parser = Texts()
    parser.feed(page.content.decode())
    words = [
        (word, text) for text in parser.found for word in re.findall(r"[A-Za-z][A-Za-z_-]+", REFERENCES.sub(" ", text))
    ]
    return sorted({f"{word}: {text}" for word, text in words if word not in ALLOWED})


@pytest.fixture
def amharic(staff) -> Client:
    User.objects.filter(is_superuser=True).update(language="am")
    return staff


@pytest.mark.django_db
def test_nothing_on_the_main_pages_is_left_in_english(amharic):
    addresses = [reverse("admin:index"), reverse("admin:search"), reverse("admin:search") + "?q=zzzz"]
    addresses += [reverse(f"admin:{name}_changelist") for name in LISTS]
    addresses += [reverse(f"admin:{name}") for name in FORMS]
    addresses.append(reverse("admin:orders_order_change", args=[Order.objects.order_by("pk").last().pk]))

    left = {address: english(amharic.get(address)) for address in addresses}

    assert {address: words for address, words in left.items() if words} == {}


@pytest.mark.django_db
def test_whoever_switches_keeps_the_language_on_their_account_and_comes_back():
    user, client = factories.user(is_staff=True, is_superuser=True), Client()
    client.force_login(user)
    orders = reverse("admin:orders_order_changelist")
    assert 'lang="en"' in client.get(orders).content.decode()

    answer = client.post(reverse("admin:language"), {"language": "am", "next": orders})

    assert (answer.status_code, answer["Location"]) == (302, orders)
    assert User.objects.get(pk=user.pk).language == "am"
    page = client.get(orders)
    assert 'lang="am"' in page.content.decode()
    assert page["Content-Language"] == "am"
    assert "ትዕዛዞች" in page.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("elsewhere", ["https://evil.example/admin/", "//evil.example", "/api/", ""])
def test_a_switch_leads_nowhere_else(elsewhere):
    client = Client()
    client.force_login(factories.user(is_staff=True))

    answer = client.post(reverse("admin:language"), {"language": "am", "next": elsewhere})

    assert answer["Location"] == reverse("admin:index")


@pytest.mark.django_db
def test_a_language_that_we_do_not_speak_changes_nothing():
    user, client = factories.user(is_staff=True), Client()
    client.force_login(user)

    client.post(reverse("admin:language"), {"language": "xx"})

    assert User.objects.get(pk=user.pk).language == "en"
    assert client.get(reverse("admin:language")).status_code == 405


@pytest.mark.django_db
def test_nobody_switches_who_is_not_staff():
    user, client = factories.user(), Client()
    client.force_login(user)

    client.post(reverse("admin:language"), {"language": "am"})

    assert User.objects.get(pk=user.pk).language == "en"


@pytest.mark.django_db
def test_before_signing_in_the_browser_says_the_language():
    page = Client().get(reverse("admin:login"), headers={"accept-language": "am,en;q=0.5"})

    assert 'lang="am"' in page.content.decode()


@pytest.mark.django_db
def test_language_and_clock_of_the_desk_end_with_its_request(amharic):
    amharic.get(reverse("admin:index"))

    assert translation.get_language() == "en"
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.django_db
def test_a_stored_moment_stands_in_east_africa_time(staff):
    order = Order.objects.order_by("pk").first()
    Order.objects.filter(pk=order.pk).update(expires_at="2026-11-21T22:04:07Z")

    page = staff.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()

    assert "22 Nov 2026, 01:04:07" in page
    assert "13 Hidar 2019" in page


# The catalogue


def messages():
    return catalogue.read(catalogue.path(language="am").read_text(encoding="utf-8"))


def said_in_code() -> set[str]:
    """What stands in our code and templates to be translated."""
    found: set[str] = set()
    for app in names.OURS:
        for source in (BASE / app).rglob("*.py"):
            for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Name(id="_" | "gettext" | "lazy"), args=[ast.Constant(value=str(text)), *_rest]
                    ):
                        found.add(text)
                    case _:
                        pass
        for source in (BASE / app).rglob("*.html"):
            if "notifications" in source.parts:  # letters have a folder for each language
                continue
            for node in ast.walk(ast.parse(_as_code(source))):
                if isinstance(node, ast.Call):
                    found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return {text for text in found if isinstance(text, str)}


def _as_code(source: Path) -> str:
    """The calls of gettext that Django makes of a template, a line each."""
    made = templatize(source.read_text(encoding="utf-8"), origin=str(source))
    calls = re.findall(r"""n?gettext\((?:u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?:, ?)?|count)+\)""", made)
    return "\n".join(calls)


def test_everything_that_the_desk_says_is_translated():
    known = {each.msgid for each in messages()} | {each.plural for each in messages()}
    wanted = said_in_code() | names.names() | names.states()

    assert wanted - known == set()
    assert len(wanted) > 700


def test_a_translation_has_the_placeholders_of_what_it_translates():
    placeholders = re.compile(r"%\([a-z_]+\)[sd]|%[sd]|\{[a-z_]*\}")
    wrong = [
        each.msgid
        for each in messages()[1:]
        for said in each.said
        if sorted(placeholders.findall(said))
        not in [sorted(placeholders.findall(text)) for text in (each.msgid, each.plural) if text]
    ]

    assert wrong == []


def test_no_translation_is_empty_doubtful_or_there_twice():
    said = messages()[1:]

    assert [each.msgid for each in said if each.is_fuzzy or not all(each.said)] == []
    assert len({each.key for each in said}) == len(said)


def test_what_gettext_reads_is_what_people_wrote():
    source = catalogue.path(language="am")

    assert source.with_suffix(".mo").read_bytes() == catalogue.compiled(messages()), "manage.py compile_desk_messages"


def test_a_line_that_is_no_message_is_refused():
    with pytest.raises(ValueError, match="line 2"):
        catalogue.read('msgid "one"\nmsgstring "eins"\n'.replace("msgstring", "nonsense"))


def test_columns_have_names_that_follow_the_language_and_migrations_do_not_see_it():
    field = apps.get_model("orders.Order")._meta.get_field("status")

    with translation.override("am"):
        assert str(field.verbose_name) == "ሁኔታ"
        assert str(dict(field.flatchoices)["awaiting_payment"]) == "ክፍያ የሚጠብቅ"
    assert str(field.verbose_name) == "status"
    assert "verbose_name" not in field.deconstruct()[3]
