from django.apps import AppConfig
from django.db.models.signals import post_migrate


class GovernanceConfig(AppConfig):
    name = "governance"

    def ready(self) -> None:
        from governance import factor_log, job_kinds  # noqa: PLC0415
        from governance.access import forget_permission_ids  # noqa: PLC0415  # models exist now
        from governance.services import privacy_keys  # noqa: PLC0415

        job_kinds.register(
            privacy_keys.KIND, privacy_keys.rewrap_step, face=job_kinds.Face("Privacy keys")
        )
        factor_log.connect()
        post_migrate.connect(forget_permission_ids, dispatch_uid="governance.permission_ids")
