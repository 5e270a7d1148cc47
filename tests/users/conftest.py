from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests import factories, openid_provider
from tests.openid_provider import LocalProvider
from users.models import User
from users.openid import metadata

RETURN_URL = "https://shop.example/account/sign-in/"


@pytest.fixture
def person(db) -> User:
    return factories.user(email="abebech@gmail.com", first_name="Abebech")


@pytest.fixture
def provider(settings: Any) -> LocalProvider:
    """An honest provider on this machine, by whom people may sign in, and of whom nothing is remembered."""
    provider = openid_provider.shared()
    provider.reset()
    metadata.forget()
    settings.SIGN_IN_PROVIDERS = {"local": provider.registration}
    settings.SIGN_IN_RETURN_URLS = [RETURN_URL, "https://other.example/back"]
    settings.SIGN_IN_DEADLINE_SECONDS = 20
    return provider


@dataclass
class Browser:
    """Somebody's front end, from setting out to being back."""

    api: Any
    provider: LocalProvider
    bearer: str = ""

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"authorization": self.bearer} if self.bearer else {}
        return self.api.post(path, body, key=None, **headers)

    def start(self, **body: Any) -> dict[str, Any]:
        answer = self.post("/auth/providers/local/start/", body)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def goes(self, *, fresh: bool = False, **claims: Any) -> dict[str, str]:
        """There and back: what there is to send in the end."""
        departure = self.start(**({"fresh": True} if fresh else {}))
        return self.provider.arrives(departure["authorization_url"], **claims) | {"proof": departure["proof"]}

    def signs_in(self, **claims: Any) -> Any:
        return self.post("/auth/providers/local/finish/", self.goes(**claims))

    def links(self, **claims: Any) -> Any:
        return self.post("/auth/identities/", self.goes(**claims))


@pytest.fixture
def browser(api, provider) -> Browser:
    return Browser(api, provider)
