"""How the API's document is made (drf-spectacular)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

_GUIDE: Final = Path(__file__).resolve().parent.parent / "guide.md"

SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "Nexus",
    "DESCRIPTION": _GUIDE.read_text(encoding="utf-8"),
    "VERSION": "1",
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/", "description": "Where this document is served."}],
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.openapi.complete",
        "config.deprecations.mark",
    ],
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "orders.models.STATUSES",
        "PaymentStatus": "payments.models.payment.STATUSES",
        "Currency": "core.money.Currency",
        "Resolution": "payments.staff_serializers.RESOLUTIONS",
        "DeliveryKind": "orders.models.KINDS",
        "Region": "users.regions.CHOICES",
        "WebhookStatus": "notifications.webhooks.models.STATUSES",
        "DeletionStatus": "desk.serializers.STATUSES",
        "DeletionWaitsFor": "desk.serializers.WAITS_FOR",
    },
}
