"""Nothing is kept of people of which nobody has said what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.personal import Fate, Mentions, Table, is_pseudonym, new_pseudonym, rewrite
from desk import registry

OF_TEXT = (
    models.CharField, models.TextField, models.JSONField, models.BinaryField, ArrayField,
    models.GenericIPAddressField, models.FileField,
)  # fmt: skip


def texts(model: type[models.Model]) -> set[str]:
    """The columns that could hold anything; not those with a list of what they hold."""
    return {field.attname for field in model._meta.concrete_fields if isinstance(field, OF_TEXT) and not field.choices}


def not_spoken_of(model: type[models.Model], table: Table) -> set[str]:
    return texts(model) - set(table.personal) - set(table.plain)


def every_model() -> Iterable[type[models.Model]]:
    return [model for model in apps.get_models(include_auto_created=True) if texts(model)]


@pytest.mark.parametrize("model", every_model(), ids=lambda model: model._meta.label)
def test_every_column_of_text_is_spoken_of(model: type[models.Model]) -> None:
    table = registry.HOLDS.get(model._meta.label, Table(kept=""))

    assert not_spoken_of(model, table) == set(), "say in the app's personal.py whether they hold something of people"


def test_a_new_column_is_found() -> None:
    user = registry.HOLDS["users.User"]
    less = Table(kept=user.kept, personal={name: fate for name, fate in user.personal.items() if name != "email"})

    assert not_spoken_of(apps.get_model("users.User"), less) == {"email"}


@pytest.mark.parametrize("label", registry.HOLDS)
def test_nothing_is_spoken_of_that_is_not_there_or_twice(label: str) -> None:
    table, model = registry.HOLDS[label], apps.get_model(label)

    assert set(table.personal) | set(table.plain) <= {field.attname for field in model._meta.concrete_fields}
    assert set(table.personal) & set(table.plain) == set()
    assert table.kept


def test_what_is_blackened_in_a_table_that_never_changes_is_let_go_by_its_trigger() -> None:
    for label, table in registry.HOLDS.items():
        columns = {column for column, fate in table.personal.items() if fate is Fate.BLACKENED}
        for trigger in getattr(apps.get_model(label)._meta, "triggers", []):
            if columns and trigger.name.endswith("_append_only"):
                assert all(f"NEW.{column} " in str(trigger.func) for column in columns), label


def test_the_document_says_the_same() -> None:
    document = (Path(settings.BASE_DIR) / "docs" / "privacy.md").read_text(encoding="utf-8")

    assert document.endswith(f"\n\n{registry.written()}"), "put what desk.registry.written() gives at its end"


class TestMentions:
    def of(self) -> Mentions:
        return Mentions.of(names=["አበበች Bekele"], addresses=["a.b@gmail.com"], phone_numbers=["+251911234567"])

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("አበበች bekele called", "█ called"),
            ("BEKELE, twice: Bekele", "█, twice: █"),
            ("from A.B@gmail.com or 0911234567", "from █ or █"),
            ("+251911234567, 251911234567, 911234567", "█, █, █"),
            ("Bekeles' shop, axb@gmail.com, 10911234567", "Bekeles' shop, axb@gmail.com, 10911234567"),
            ("", ""),
        ],
    )
    def test_go_from_a_text_and_nothing_else_does(self, text: str, left: str) -> None:
        assert self.of().blacken(text) == left

    def test_a_text_never_grows(self) -> None:
        text = "Bekele " * 40
        assert len(self.of().blacken(text)) <= len(text)

    def test_without_a_word_no_text_changes(self) -> None:
        nobody = Mentions.of(names=["", "A"], addresses=[""], phone_numbers=[])

        assert (nobody.words, nobody.blacken("A fine day")) == (frozenset(), "A fine day")


def test_a_body_of_the_api_loses_the_person_and_keeps_the_rest() -> None:
    said = (
        '{"type":"order.paid","data":{"email":"a@b.et","phone_number":"1","first_name":"A","last_name":"B",'
        '"total":"1.00","items":[{"name":"Coffee"}],"delivery":{"name":{"en":"Courier"},"address":{"city":"X"}}}}'
    )

    assert rewrite(body=said, pseudonym="x@erased.invalid") == (
        '{"type":"order.paid","data":{"email":"x@erased.invalid","phone_number":"","first_name":"","last_name":"",'
        '"total":"1.00","items":[{"name":"Coffee"}],"delivery":{"name":{"en":"Courier"},"address":null}}}'
    )
    assert rewrite(body="no JSON", pseudonym="x@erased.invalid") == "no JSON"


def test_a_pseudonym_is_another_each_time_and_known_as_one() -> None:
    drawn = {new_pseudonym() for _ in range(50)}

    assert len(drawn) == 50
    assert all(is_pseudonym(each) for each in drawn)
    assert not is_pseudonym("erased.invalid@gmail.com")
