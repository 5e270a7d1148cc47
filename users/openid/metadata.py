"""What a provider says of itself (OpenID Connect Discovery), and the keys that it signs with; kept for an hour."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from joserfc import jwk
from joserfc.errors import JoseError

from users.openid import transport
from users.openid.provider import ProviderAnswerInvalid

KEPT_SECONDS: Final = 3600
MOST_KEYS: Final = 100
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey
KINDS: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""What the names of algorithms begin with, and the kind of key that each of them takes."""


@dataclass(slots=True, kw_only=True)
class Metadata:
    """Of one issuer. Threads share it: the worst that two of them do is to ask for the keys twice."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
    auth_methods: tuple[str, ...]
    names_itself: bool
    """Whether it sends its name along with a code (RFC 9207)."""
    good_until: float
    _keys: list[Key] = field(default_factory=list)
    _keys_until: float = 0

    def key(self, header: Mapping[str, Any], *, ends: float) -> Key:
        """The key that a token's header names. Where it is none of those that we know, they are asked for once more:
        providers change their keys whenever they like.

        :raises ProviderAnswerInvalid: there is no such key.
        """
        if time.monotonic() < self._keys_until and (found := self._fitting(header)) is not None:
            return found
        self._keys = _keys(transport.ask(method="GET", url=self.jwks_uri, ends=ends))
        self._keys_until = time.monotonic() + KEPT_SECONDS
        if (found := self._fitting(header)) is not None:
            return found
        raise ProviderAnswerInvalid("signature")

    def _fitting(self, header: Mapping[str, Any]) -> Key | None:
        """One that could have made this signature. A token that names none is only good where there is no choice."""
        kind, kid = KINDS.get(str(header.get("alg"))[:2]), header.get("kid")
        fitting = [key for key in self._keys if key.key_type == kind and (kid is None or key.kid == kid)]
        return fitting[0] if len(fitting) == 1 else None


_kept: dict[str, Metadata] = {}


def of(issuer: str, *, ends: float) -> Metadata:
    """What this issuer says of itself.

    :raises ProviderUnavailable: · ProviderAnswerInvalid:
    """
    found = _kept.get(issuer)
    if found is None or time.monotonic() >= found.good_until:
        found = _kept[issuer] = _read(issuer, transport.ask(method="GET", url=_address(issuer), ends=ends))
    return found


def forget() -> None:
    """Ask anew: between tests."""
    _kept.clear()


def _address(issuer: str) -> str:
    return issuer.rstrip("/") + _WELL_KNOWN


def _read(issuer: str, answer: transport.Answer) -> Metadata:
    said = answer.said
    if answer.status != HTTPStatus.OK:
        raise ProviderAnswerInvalid("malformed")
    if said.get("issuer") != issuer:
        raise ProviderAnswerInvalid("issuer")
    methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    needed = {name: said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    besides = said.get("userinfo_endpoint") or ""
    if not all(map(transport.is_safe, needed.values())) or not (besides == "" or transport.is_safe(besides)):
        raise ProviderAnswerInvalid("malformed")
    return Metadata(
        issuer=issuer,
        authorization_endpoint=str(needed["authorization_endpoint"]),
        token_endpoint=str(needed["token_endpoint"]),
        jwks_uri=str(needed["jwks_uri"]),
        userinfo_endpoint=str(besides),
        auth_methods=tuple(map(str, methods)) if isinstance(methods, list) else (),
        names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        good_until=time.monotonic() + KEPT_SECONDS,
    )


def _keys(answer: transport.Answer) -> list[Key]:
    given = answer.said.get("keys")
    if not isinstance(given, list):
        raise ProviderAnswerInvalid("malformed")
    return [key for each in given[:MOST_KEYS] if (key := _key(each)) is not None]


def _key(given: object) -> Key | None:
    """None where it is for another use, or of a kind that we do not know: there may be such beside those that we do."""
    if not isinstance(given, dict) or given.get("use", "sig") != "sig":
        return None
    try:
        key = jwk.import_key({str(name): value for name, value in given.items()})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, Key) else None
