from django.urls import path

from notifications.webhooks import api

urlpatterns = [
    path("webhooks/endpoints/", api.Endpoints.as_view()),
    path("webhooks/endpoints/<uuid:endpoint_id>/", api.EndpointDetail.as_view()),
    path("webhooks/endpoints/<uuid:endpoint_id>/rotate-secret/", api.SecretRotation.as_view()),
    path("webhooks/endpoints/<uuid:endpoint_id>/test/", api.EndpointTest.as_view()),
    path("webhooks/messages/", api.Messages.as_view()),
    path("webhooks/messages/<uuid:message_id>/", api.MessageDetail.as_view()),
    path("webhooks/messages/<uuid:message_id>/resend/", api.MessageResend.as_view()),
]
