"""What is kept of people who have an account, and how it goes when one of them is erased."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from core import personal
from core.models import AuditEntry
from core.personal import Counts, Fate, Mentions, Table
from users.models import Address, Identity, RecoveryCode, SecondFactor, User


def mentions_of(user: User) -> Mentions:
    """The words by which a text would name the owner of this account."""
    elsewhere = Identity.objects.filter(user=user).exclude(email="").values_list("email", flat=True)
    places = list(Address.objects.filter(user=user).values_list("recipient_name", "phone_number"))
    return Mentions.of(
        names=[user.get_full_name(), *(name for name, _ in places)],
        addresses=[user.email, *elsewhere],
        phone_numbers=[number for number in (user.phone_number, *(number for _, number in places)) if number],
    )


def close(*, user: User) -> None:
    """End every session of an account that is about to be erased, and let nobody in again. Call it under its lock."""
    user.is_active = False
    user.set_unusable_password()  # every token was given under the old one
    user.save(update_fields=["is_active", "password"])


def erase_account(*, user: User, pseudonym: str) -> Counts:
    """The account stays, for its orders are the books', and names nobody. Call it under its lock."""
    audited = personal.blacken(
        rows=AuditEntry.objects.filter(subject_kind="users.User", subject_id=str(user.pk)),
        columns=["reason"],
        mentions=mentions_of(user),
    )
    RecoveryCode.objects.filter(factor__user=user).delete()  # of somebody who was on the staff once
    SecondFactor.objects.filter(user=user).delete()
    addresses, _ = Address.objects.filter(user=user).delete()
    identities, _ = Identity.objects.filter(user=user).delete()
    tokens = OutstandingToken.objects.filter(user=user).delete()[1].get("token_blacklist.OutstandingToken", 0)
    noted = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
    ).update(object_repr=pseudonym)
    user.email = pseudonym
    user.first_name = user.last_name = user.phone_number = ""
    user.erase_at = None
    user.save(update_fields=["email", "first_name", "last_name", "phone_number", "erase_at"])
    return {
        "users.User": 1,
        "users.Address": addresses,
        "users.Identity": identities,
        "token_blacklist.OutstandingToken": tokens,
        "admin.LogEntry": noted,
        "core.AuditEntry": audited,
    }


_ALWAYS: Final = "always"
HOLDS: Final[Mapping[str, Table]] = {
    "users.User": Table(
        kept="until it is erased",
        personal={
            "email": Fate.PSEUDONYM,
            "first_name": Fate.EMPTIED,
            "last_name": Fate.EMPTIED,
            "phone_number": Fate.EMPTIED,
            "password": Fate.EMPTIED,
        },
    ),
    "users.Address": Table(
        kept="until its owner removes it, or is erased",
        personal=dict.fromkeys(
            ("recipient_name", "phone_number", "city", "sub_city", "woreda", "kebele", "house_number", "landmark"),
            Fate.DELETED,
        ),
    ),
    "users.Identity": Table(
        kept="until its owner removes it, or is erased",
        personal={"subject": Fate.DELETED, "email": Fate.DELETED},
        plain=("issuer",),
    ),
    "users.UsedState": Table(kept="24 hours"),
    "users.SecondFactor": Table(
        kept="until it is reset; half of a secret, of staff alone", personal={"seed": Fate.DELETED}
    ),
    "users.RecoveryCode": Table(kept="as its second factor; a keyed hash", personal={"digest": Fate.DELETED}),
    "users.Attempt": Table(kept="24 hours; a keyed hash", personal={"digest": Fate.EXPIRES}),
    "token_blacklist.OutstandingToken": Table(
        kept="until it is erased; says which account, not whose", personal={"token": Fate.DELETED}, plain=("jti",)
    ),
    "token_blacklist.BlacklistedToken": Table(kept="as its token"),
    # What Django keeps for the staff site.
    "admin.LogEntry": Table(
        kept=_ALWAYS, personal={"object_repr": Fate.PSEUDONYM}, plain=("object_id", "change_message")
    ),
    "auth.Permission": Table(kept=_ALWAYS, plain=("name", "codename")),
    "auth.Group": Table(kept=_ALWAYS, plain=("name",)),
    "contenttypes.ContentType": Table(kept=_ALWAYS, plain=("app_label", "model")),
    "sessions.Session": Table(kept="two weeks; staff alone", plain=("session_key", "session_data")),
}
