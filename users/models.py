"""A person with an account. The e-mail address is the name."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Final

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Lower, Now

from core.trigrams import written_together
from users import regions

WHO: Final = written_together("first_name", "last_name", "email", "phone_number")
"""Who somebody is, in capitals: parts of it are found by one trigram index over all of it."""
LONGEST_SUBJECT: Final = 255
"""Characters that a provider calls somebody by, at most (OpenID Connect Core, 2)."""


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=normalise_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=normalise_email(username or ""))


def normalise_email(email: str) -> str:
    """Lower-cased as a whole: no mail provider in use tells two people apart by a capital letter."""
    return email.strip().lower()


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(max_length=254, unique=True)
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    phone_number = models.CharField(max_length=13, blank=True)
    language = models.CharField(max_length=2, choices=[("en", "English"), ("am", "አማርኛ")], default="en")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    erase_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="From then on it is erased, as its owner has asked."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_in_lower_case")
        ]
        indexes = [
            GinIndex(OpClass(WHO, name="gin_trgm_ops"), name="user_who"),
            models.Index(fields=["email"], condition=models.Q(is_staff=True), name="user_staff"),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def get_short_name(self) -> str:
        return self.first_name or self.email.split("@", 1)[0]


class Address(models.Model):
    """Where a person has things sent, as it is said in Ethiopia: the lower one reads, the fewer people need it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    recipient_name = models.CharField(max_length=200)
    phone_number = models.CharField(max_length=13)
    region = models.CharField(max_length=20, choices=regions.CHOICES)
    city = models.CharField(max_length=100)
    sub_city = models.CharField(max_length=100, blank=True)
    woreda = models.CharField(max_length=100, blank=True)
    kebele = models.CharField(max_length=100, blank=True)
    house_number = models.CharField(max_length=40, blank=True)
    landmark = models.CharField(max_length=300, blank=True, help_text="What it is near to: few houses have a number.")
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(is_default=True), name="address_default_once_per_user"
            ),
            models.CheckConstraint(
                condition=models.Q(region__in=sorted(regions.REGIONS)), name="address_region_is_known"
            ),
        ]
        indexes = [models.Index(fields=["user", "-created_at", "-id"], name="address_of_user")]

    def __str__(self) -> str:
        return f"{self.city} {self.pk}"


class Attempt(models.Model):
    """One try at what may not be tried at will (users.limits). `digest`: at what and by whom, as a keyed hash."""

    digest = models.CharField(max_length=64)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["digest", "at"], name="attempt_of_somebody"),
            models.Index(fields=["at"], name="attempt_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.digest[:8]} {self.at:%Y-%m-%d %H:%M}"


class Identity(models.Model):
    """An account of elsewhere by which somebody signs in: `subject` is what `issuer` calls them, and it never changes.

    `email` is the address that the provider had seen to be theirs when the two were joined; it may be none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    email = models.EmailField(max_length=254, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="identity_is_one_persons"),
            models.UniqueConstraint(fields=["user", "issuer"], name="identity_once_per_issuer"),
        ]

    def __str__(self) -> str:
        return f"{self.issuer} {self.pk}"


class UsedState(models.Model):
    """The number of a sign-in by way of a provider that came back. Kept until none of that age could be good."""

    number = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["at"], name="used_state_oldest")]

    def __str__(self) -> str:
        return str(self.number)


class SecondFactor(models.Model):
    """What an account on the staff signs in with beside its password (users.second_factor).

    `seed` is half of its secret, the other half is the server's. `last_step`: the half minute whose code was used last.
    """

    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="+")
    seed = models.CharField(max_length=64)
    last_step = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"of account {self.user_id}"


class RecoveryCode(models.Model):
    """One of the codes that stand in for a telephone, once each; as a keyed hash."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.PROTECT, related_name="recovery_codes")
    digest = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.factor_id} {'used' if self.used_at else 'unused'}"
