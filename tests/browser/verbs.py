"""What can be done at the desk: asked of the admin site, so that nobody has to keep a list of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse

from core.admin import Verb, WithVerbs
from users.models import User

SHOWN: Final = {
    model._meta.label: shown for model, shown in admin.site._registry.items() if isinstance(shown, WithVerbs)
}

FILES: Final = {"file", "report"}
"""Verbs that give a file, and leave one where one is."""


def asked_by(user: User) -> Any:
    request = RequestFactory().get("/admin/")
    request.user = user
    return request


def verbs_of_rows(shown: WithVerbs, user: User) -> Iterator[tuple[Any, Verb]]:
    """Each verb of a class once, with a row for which it makes sense."""
    found: set[str] = set()
    for row in shown.get_queryset(asked_by(user)):
        for verb in shown.verbs(asked_by(user), row):
            if verb.name not in found:
                found.add(verb.name)
                yield row, verb
    missing = set(map(str, shown.actions or ())) - found
    assert not missing, f"tests.desk.everything has no row for {missing} of {shown}"


def offered(user: User, *, at_once: bool) -> Iterator[tuple[WithVerbs, Any, Verb]]:
    """Of all classes. Those that ask first are only looked at; the others do what they say."""
    for shown in SHOWN.values():
        yield from ((shown, row, verb) for row, verb in verbs_of_rows(shown, user) if verb.at_once is at_once)


def address(shown: WithVerbs, name: str, *arguments: Any) -> str:
    return reverse(f"admin:{shown.opts.app_label}_{shown.opts.model_name}_{name}", args=arguments)
