"""A browser's way to a provider and back: ten minutes, once, and for nobody but the browser that set out.

Nothing of it is stored on the way there. The `state` is signed; what belongs to it (the proof that the client keeps to
itself, PKCE's verifier, the nonce) is derived from its number with the server's key. On the way back that number is
written down, so that no state is good twice, whatever becomes of a cache (docs/decisions/0029).
"""

from __future__ import annotations

import base64
import hmac
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.signing import BadSignature, Signer
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from core.errors import DomainError
from core.pruning import in_batches
from users.models import UsedState

VALID: Final = timedelta(minutes=10)
_KEPT: Final = timedelta(hours=24)
"""Much longer than a state is good for: the web's clocks are not the database's."""
_SALT: Final = "users.openid.state"


class InvalidSignInState(DomainError):
    code, status, title = "invalid_sign_in_state", 400, "This sign-in was not begun by you, here; begin again."
    storable = False


class SignInStateExpired(DomainError):
    code, status, title = "sign_in_state_expired", 400, "This sign-in was begun too long ago; begin again."
    storable = False


class SignInStateUsed(DomainError):
    code, status, title = "sign_in_state_used", 409, "This sign-in was finished before, well or not; begin again."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """To `provider` (its code), and back to `return_url`. `number` is random."""

    provider: str
    return_url: str
    number: str
    begun_at: int

    @property
    def state(self) -> str:
        said = {"p": self.provider, "r": self.return_url, "n": self.number, "t": self.begun_at}
        return Signer(salt=_SALT).sign_object(said)

    @property
    def proof(self) -> str:
        """What the client keeps to itself, and shows when it is back. It stands in no address."""
        return self._derived("proof")

    @property
    def verifier(self) -> str:
        """PKCE's (RFC 7636): a code that is stolen on its way is of no use without it."""
        return self._derived("verifier")

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def ends_at(self) -> datetime:
        return datetime.fromtimestamp(self.begun_at, tz=UTC) + VALID

    def _derived(self, what: str) -> str:
        digest = salted_hmac(f"users.openid.{what}", self.number, algorithm="sha256").digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def begin(*, provider: str, return_url: str, at: datetime) -> RoundTrip:
    """Set out."""
    return RoundTrip(provider=provider, return_url=return_url, number=uuid.uuid4().hex, begun_at=int(at.timestamp()))


def opened(*, state: str, proof: str, at: datetime) -> RoundTrip:
    """The round trip that this state is of.

    :raises InvalidSignInState: the state is none of ours, or the proof is another's.
    :raises SignInStateExpired:
    """
    try:
        said: dict[str, Any] = Signer(salt=_SALT).unsign_object(state)
    except BadSignature:
        raise InvalidSignInState from None
    trip = RoundTrip(provider=said["p"], return_url=said["r"], number=said["n"], begun_at=said["t"])
    if not hmac.compare_digest(trip.proof.encode(), proof.encode()):
        raise InvalidSignInState
    if not trip.begun_at <= at.timestamp() + 1 or at >= trip.ends_at:
        raise SignInStateExpired
    return trip


def use_up(*, trip: RoundTrip) -> None:
    """Let the state be good no more. Commit it before the provider is asked.

    :raises SignInStateUsed: it was before.
    """
    _, is_new = UsedState.objects.get_or_create(number=uuid.UUID(trip.number))
    if not is_new:
        raise SignInStateUsed


def forget() -> int:
    """Remove what no state can be any more; returns how many rows went."""
    return in_batches(rows=UsedState.objects.filter(at__lt=Now() - _KEPT))
