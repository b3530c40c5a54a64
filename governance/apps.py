from django.apps import AppConfig
from django.db.models.signals import post_migrate


class GovernanceConfig(AppConfig):
    name = "governance"

    def ready(self) -> None:
        from governance.access import forget_permission_ids  # noqa: PLC0415  # models exist now

        post_migrate.connect(forget_permission_ids, dispatch_uid="governance.permission_ids")
