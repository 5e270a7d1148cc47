"""What signing in by a provider takes and gives."""

from __future__ import annotations

from typing import Any, Final

from django.core.validators import RegexValidator
from rest_framework import serializers

from core.fields import StrictBooleanField, StrictCharField, StrictSerializer
from core.openapi import example
from users import identities
from users.models import Identity

_STATE: Final = "eyJwIjoiZ29vZ2xlIiwiciI6Imh0dHBzOi8vc2hvcC5leGFtcGxlLyJ9:4fJ2yJ0c"
_PROOF: Final = "mZ4bA0b1o2c3d4e5f6g7h8i9j0kAlBmCnDoEpFqGrHs"


class VisibleCharField(StrictCharField):
    """ASCII that can be seen: all that a provider puts into an address (RFC 6749, appendix A)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validators=[RegexValidator(r"^[!-~]+$")], **kwargs)


@example("Google", code="google", label="Google")
class ProviderOut(serializers.Serializer[object]):
    code = serializers.CharField(help_text="Stands in the addresses.")
    label = serializers.CharField(  # type: ignore[assignment]  # a serializer has one for other things
        help_text="What a button says."
    )


@example("All of them", results=[{"code": "google", "label": "Google"}])
class ProvidersOut(serializers.Serializer[object]):
    results = ProviderOut(many=True)


@example("Back to the shop", return_url="https://shop.example/account/sign-in/")
class StartIn(StrictSerializer):
    return_url = VisibleCharField(
        max_length=500, required=False, help_text="On the shop's list (SIGN_IN_RETURN_URLS); else its first."
    )
    fresh = StrictBooleanField(
        required=False, help_text="They give their password there again; so that this counts as signing in just now."
    )


@example(
    "Google", authorization_url="https://accounts.google.com/o/oauth2/v2/auth?response_type=code&…", state=_STATE,
    proof=_PROOF, expires_at="2026-11-21T07:10:00Z",
)  # fmt: skip
class DepartureOut(serializers.Serializer[object]):
    authorization_url = serializers.CharField(help_text="Where to send the browser.")
    state = serializers.CharField(help_text="Comes back with the browser. It has to be this one.")
    proof = serializers.CharField(help_text="Keep it in the tab (sessionStorage), and show it at the end.")
    expires_at = serializers.DateTimeField()


@example("Back again", code="4/0AVMBsJhQy7", state=_STATE, proof=_PROOF)
class ReturnIn(StrictSerializer):
    code = VisibleCharField(max_length=4096, required=False, help_text="As it came in the address.")
    error = VisibleCharField(max_length=100, required=False, help_text="The same, where there is no code.")
    iss = VisibleCharField(max_length=500, required=False, help_text="The same, where it came with one.")
    state = VisibleCharField(max_length=2000)
    proof = VisibleCharField(max_length=100)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("code" in attrs) == ("error" in attrs):
            raise serializers.ValidationError({"code": "Either a code or an error.", "error": "The same."})
        return attrs


@example("Back again", code="4/0AVMBsJhQy7", state=_STATE, proof=_PROOF)
class FinishIn(ReturnIn):
    otp = StrictCharField(
        max_length=20, required=False, write_only=True,
        help_text="Of staff alone: the code that their telephone shows, or a recovery code.",
    )  # fmt: skip


@example(
    "Google", id="0c4f8b0a-5a38-4d1e-8f0e-9b8f6f0f7d21", provider="google", label="Google", email="abebech@gmail.com",
    created_at="2026-11-21T07:00:00.000000Z", used_at=None,
)  # fmt: skip
class IdentityOut(serializers.Serializer[Identity]):
    id = serializers.UUIDField()
    provider = serializers.SerializerMethodField(help_text="Empty where one can sign in by it no more.")
    label = serializers.SerializerMethodField()  # type: ignore[assignment]  # a serializer has one for other things
    email = serializers.CharField(help_text="The address that they vouched for when it was linked; may be empty.")
    created_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(allow_null=True)

    def get_provider(self, identity: Identity) -> str:
        return identities.named(identity)[0]

    def get_label(self, identity: Identity) -> str:
        return identities.named(identity)[1]
