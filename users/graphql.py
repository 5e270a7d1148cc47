"""`me`"""

from __future__ import annotations

import strawberry
from strawberry.types import Info

from core.graphql.endpoint import Context
from core.graphql.types import Moment, made_of
from core.problems import NotAuthenticated
from users.models import User
from users.serializers import ProfileOut


@strawberry.type(description="One's own account.")
class Profile:
    email: str
    first_name: str
    last_name: str
    phone_number: str
    language: str
    created_at: Moment


@strawberry.type
class Query:
    @strawberry.field(description="Who is signed in.")
    def me(self, info: Info[Context, None]) -> Profile | None:
        user = info.context.request.user
        if not isinstance(user, User):
            raise NotAuthenticated
        return made_of(Profile, ProfileOut(user).data)
