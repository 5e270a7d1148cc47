"""Every address of the system."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView

from config import documents, explorer, pages
from config.schema import LIMITS, schema
from core import health, problems
from core.graphql.endpoint import Endpoint as GraphQL
from core.permissions import Anyone

api = [
    path("", include("users.urls")),
    path("", include("products.urls")),
    path("", include("orders.urls")),
    path("", include("payments.urls")),
    path("", include("notifications.urls")),
    path("", include("desk.urls")),
]

open_to_all = {"permission_classes": [Anyone], "authentication_classes": [], "http_method_names": ["get", "head"]}

urlpatterns = [
    path("api/v1/", include(api)),
    path("graphql/", GraphQL.as_view(schema=schema, limits_of=LIMITS)),
    path("api/schema/", documents.Schema.as_view(**open_to_all), name="schema"),
    path("api/docs/", documents.from_here_alone(SpectacularSwaggerView.as_view(url_name="schema", **open_to_all))),
    path("api/redoc/", documents.from_here_alone(SpectacularRedocView.as_view(url_name="schema", **open_to_all))),
    path("problems/<slug:code>/", problems.explain),
    path("order/<order_number:number>/", pages.order),
    path("order/assets/<str:release>/<str:name>", pages.asset),
    path("account/password/", pages.password),
    path("healthz/live", health.live),
    path("healthz/ready", health.ready),
    path("admin/", admin.site.urls),
]

if settings.GRAPHQL_EXPLORER:
    urlpatterns += [path("graphql/explorer/", explorer.page), path("graphql/explorer/<str:name>", explorer.file)]

handler400 = "core.problems.bad_request"
handler403 = "core.problems.permission_denied"
handler404 = "core.problems.page_not_found"
handler500 = "core.problems.server_error"
