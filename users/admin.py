"""Accounts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core import outbox
from core.admin import ModelAdmin, QuickList, ReadOnlyAdmin, ReadOnlyInline, ReasonForm, WithVerbs, actor, decision
from core.audited_forms import HIDDEN
from users import second_factor
from users.models import WHO, Identity, User


class IdentityInline(ReadOnlyInline):
    model = Identity
    fields = readonly_fields = ("issuer", "subject", "email", "created_at", "used_at")
    verbose_name_plural = _("signs in by")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False


@admin.register(User)
class UserAdmin(DjangoUserAdmin, QuickList, WithVerbs):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "first_name", "last_name", "is_staff", "is_active", "created_at")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("=email", "=id")
    search_texts = (WHO,)
    search_help_text = _("E-mail, name, phone or id")
    ordering = ("email",)
    audit_hidden = ("email", "first_name", "last_name", "phone_number")
    audit_names_it = False
    inlines = (IdentityInline,)
    actions = ("reset_second_factor",)
    readonly_fields = ("second_factor", "created_at", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "password", "second_factor")}),
        (_("Person"), {"fields": ("first_name", "last_name", "phone_number", "language")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Times"), {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)

    @admin.display(description=_("second factor"))
    def second_factor(self, user: User) -> str:
        factor = second_factor.of(user)
        if factor is None:
            return gettext("none")
        left = second_factor.codes_left(factor=factor)
        return gettext("since %(day)s; %(left)d recovery codes left") % {
            "day": f"{factor.created_at:%Y-%m-%d}",
            "left": left,
        }

    @admin.action(description=_("Reset the second factor of the chosen accounts"), permissions=["change"])
    @decision(ReasonForm, title=_("Reset the second factor"), done=_("reset; its owner is written to"))
    def reset_second_factor(self, request: HttpRequest, user: User, given: dict[str, Any]) -> None:
        second_factor.reset(user_id=user.pk, reason=given["reason"], actor=actor(request))

    def can_do(self, verb: str, row: User) -> bool:
        return verb != "reset_second_factor" or second_factor.of(row) is not None

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's page; what it writes, the entry about it and the letter to the account's owner are one."""
        with transaction.atomic():
            user = self.get_object(request, unquote(id))
            answer = super().user_change_password(request, id, form_url)
            if user is not None and not User.objects.filter(pk=user.pk, password=user.password).exists():
                self.note(request, user, "set_password", after={"password": HIDDEN})
                outbox.record(topic="user.password_changed", user_id=user.pk)
        return answer


admin.site.unregister([Group, OutstandingToken, BlacklistedToken])


@admin.register(Group)
class RoleAdmin(DjangoGroupAdmin, ModelAdmin):
    """Roles are made by `manage.py sync_roles`; who has one is said on the page of the account."""


@admin.register(OutstandingToken)
class OutstandingTokenAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "created_at", "expires_at")
    search_fields = ("=user__email", "=jti")
    list_select_related = ("user",)
    ordering = ("-id",)
    exclude = ("token",)


@admin.register(BlacklistedToken)
class BlacklistedTokenAdmin(ReadOnlyAdmin):
    list_display = ("id", "token_of", "blacklisted_at")
    search_fields = ("=token__user__email", "=token__jti")
    list_select_related = ("token__user",)
    ordering = ("-id",)
    fields = ("token_of", "blacklisted_at")
    readonly_fields = ("token_of",)

    @admin.display(description=_("token of"))
    def token_of(self, blacklisted: BlacklistedToken) -> str:
        return f"{blacklisted.token.user or gettext('nobody')}, {blacklisted.token.jti}"
