"""Our addresses, and GraphiQL's, as a developer's machine has them."""

from django.urls import path

from config import explorer, urls

urlpatterns = [
    path("graphql/explorer/", explorer.page),
    path("graphql/explorer/<str:name>", explorer.file),
    *urls.urlpatterns,
]
