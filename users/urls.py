from django.urls import path

from users import api

urlpatterns = [
    path("auth/register/", api.Register.as_view()),
    path("auth/token/", api.Token.as_view()),
    path("auth/token/refresh/", api.TokenRefresh.as_view()),
    path("auth/token/revoke/", api.TokenRevoke.as_view()),
    path("auth/me/", api.Me.as_view()),
]
