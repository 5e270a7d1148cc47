"""What a WSGI server (granian, gunicorn) serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

django_application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - read once Django is set up

from config.intake import Intake  # noqa: E402
from config.warmup import warm_up  # noqa: E402

warm_up()
application = Intake(django_application, limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
