"""What the columns of our models are called in the desk, in the language that is spoken.

Models say it in English, mostly by the name of the column itself; the translations stand in `desk/locale`. Migrations
know nothing of it: they keep what a model says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.apps import apps
from django.db.models import Field
from django.utils.translation import gettext_lazy

OURS: Final = ("core", "users", "products", "orders", "payments", "notifications", "desk")


def translate() -> None:
    """Give every column, state and model of ours a name that follows the language."""
    for label in OURS:
        config = apps.get_app_config(label)
        config.verbose_name = gettext_lazy(str(config.verbose_name))
    for options in _models():
        options.verbose_name = gettext_lazy(str(options.verbose_name))
        options.verbose_name_plural = gettext_lazy(str(options.verbose_name_plural))
        for field in _fields(options):
            if field.verbose_name:
                field.verbose_name = gettext_lazy(str(field.verbose_name))
            if field.help_text:
                field.help_text = gettext_lazy(str(field.help_text))
            if _speaks(field):
                field.choices = [
                    (value, gettext_lazy(str(label)) if label else "") for value, label in field.flatchoices
                ]


def names() -> set[str]:
    """All of them in English, to be translated."""
    found = set()
    for options in _models():
        found |= {str(options.verbose_name), str(options.verbose_name_plural)}
        found |= {str(field.verbose_name) for field in _fields(options) if field.verbose_name}
    return found


def states() -> set[str]:
    """What a column with choices may hold, as `core.spoken.words` says it; what bears its own name is left out."""
    return {
        str(value).replace("_", " ")
        for options in _models()
        for field in _fields(options)
        if _speaks(field)
        for value, _label in field.flatchoices
        if value
    }


def _speaks(field: Field[Any, Any]) -> bool:
    """Whether its choices are words, and not codes or the names of languages."""
    return bool(field.choices) and field.name not in {
        "currency",
        "captured_currency",
        "language",
        "encoding",
        "region",
        "regions",
    }


def _models() -> Iterator[Any]:
    return (model._meta for label in OURS for model in apps.get_app_config(label).get_models())  # noqa: SLF001


def _fields(options: Any) -> Iterator[Field[Any, Any]]:
    return (field for field in options.get_fields() if isinstance(field, Field))
