"""Building the image, where no secret is known: enough for `collectstatic`, too little to serve anybody.

What base misses is not held against it, since nothing is refused here. A process that was started with these settings
by mistake could answer nothing: there is no database to ask, and its key dies with it.
"""

from __future__ import annotations

import secrets

from config.settings.base import *  # noqa: F403 - the same storages and static files as in production
from config.settings.base import DATABASES

SECRET_KEY = secrets.token_urlsafe(48)  # libraries read it as they load; nothing is signed with it
DATABASES.clear()
