from django.urls import path

from desk import api

urlpatterns = [
    path("auth/me/deletion/", api.Deletion.as_view()),
]
