from django.urls import path

from users import api, identity_api

urlpatterns = [
    path("auth/register/", api.Register.as_view()),
    path("auth/token/", api.Token.as_view()),
    path("auth/token/refresh/", api.TokenRefresh.as_view()),
    path("auth/token/revoke/", api.TokenRevoke.as_view()),
    path("auth/password/change/", api.PasswordChange.as_view()),
    path("auth/password/reset/", api.PasswordReset.as_view()),
    path("auth/password/reset/confirm/", api.PasswordResetConfirm.as_view()),
    path("auth/me/", api.Me.as_view()),
    path("auth/me/addresses/", api.Addresses.as_view()),
    path("auth/me/addresses/<uuid:address_id>/", api.AddressDetail.as_view()),
    path("auth/providers/", identity_api.Providers.as_view()),
    path("auth/providers/<slug:provider>/start/", identity_api.Start.as_view()),
    path("auth/providers/<slug:provider>/finish/", identity_api.Finish.as_view()),
    path("auth/identities/", identity_api.Identities.as_view()),
    path("auth/identities/<uuid:identity_id>/", identity_api.IdentityDetail.as_view()),
]
