"""`python -m tests.notifications.deliver_in_a_process <notification> <smtp port>`: a worker that may be killed."""

from __future__ import annotations

import sys
from uuid import UUID

import django


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.utils.timezone import now

    from notifications import channels, delivery

    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", int(sys.argv[2])
    delivery.deliver(notification_id=UUID(sys.argv[1]), channels=channels.configured(), at=now())


if __name__ == "__main__":
    main()
