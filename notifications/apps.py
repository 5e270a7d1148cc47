from django.apps import AppConfig
from django.core import checks


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        from notifications.checks import channels_are_known, networks_are_networks

        checks.register(channels_are_known)
        checks.register(networks_are_networks)
