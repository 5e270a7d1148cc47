"""Whether an ID token is to be believed (OpenID Connect Core, 3.1.3.7), by Authlib and joserfc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ConflictAlgorithmError,
    ExpiredTokenError,
    JoseError,
    MissingAlgorithmError,
    UnsupportedAlgorithmError,
)

from users.openid.metadata import Metadata
from users.openid.provider import ProviderAnswerInvalid

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""Signatures with a key that only the provider has. Not `none`; and no HS…, whose key would be our own secret."""
LEEWAY_SECONDS: Final = 60
LONGEST: Final = 16 * 1024
_REASONS: Final = {"iss": "issuer", "aud": "audience", "azp": "audience", "nonce": "nonce", "exp": "expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token has to say: from whom, for whom, in answer to what."""

    metadata: Metadata
    client_id: str
    nonce: str
    access_token: str


def claims(token: object, *, expected: Expected, at: datetime, ends: float) -> Mapping[str, Any]:
    """What it claims. May ask for the provider's keys, by `ends`.

    :raises ProviderAnswerInvalid: it is not to be believed. · ProviderUnavailable: the keys cannot be had.
    """
    if not isinstance(token, str) or len(token) > LONGEST or not token.isascii():
        raise ProviderAnswerInvalid("malformed")
    try:
        read = jwt.decode(token, lambda seen: expected.metadata.key(seen.headers(), ends=ends), algorithms=ALGORITHMS)
        found = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": expected.metadata.issuer},
                "aud": {"essential": True, "value": expected.client_id},
            },
            params={
                "nonce": expected.nonce,
                "client_id": expected.client_id,
                "access_token": expected.access_token,
            },
        )
        found.validate(now=int(at.timestamp()), leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise ProviderAnswerInvalid(_reason(error)) from None
    return dict(found)


def _reason(error: Exception) -> str:
    """One word for what is wrong, without anything of what stands in it."""
    if isinstance(error, ClaimError):
        return "expired" if isinstance(error, ExpiredTokenError) else _REASONS.get(error.claim, "claims")
    if isinstance(error, BadSignatureError):
        return "signature"
    if isinstance(error, UnsupportedAlgorithmError | MissingAlgorithmError | ConflictAlgorithmError):
        return "algorithm"
    return "malformed"
