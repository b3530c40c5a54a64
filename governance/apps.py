from django.apps import AppConfig
from django.db.models.signals import post_migrate


class GovernanceConfig(AppConfig):
    name = "governance"

    def ready(self) -> None:
        from governance import (  # noqa: PLC0415  # models exist now
            audit_questions,
            erasing,
            erasure_stores,
            export_store,
            factor_log,
            job_kinds,
            sign_ins,
            view_kinds,
        )
        from governance.access import forget_permission_ids  # noqa: PLC0415  # models exist now
        from governance.services import (  # noqa: PLC0415
            erasure_walk,
            erasures,
            policies,
            policy_runs,
            privacy_keys,
            subject_exports,
        )

        face = job_kinds.Face("Privacy keys", "/privacy/keys/")
        job_kinds.register(privacy_keys.KIND, privacy_keys.rewrap_step, face=face)
        face = job_kinds.Face("Export about a person", "/privacy/exports/{key}/")
        job_kinds.register(subject_exports.KIND, subject_exports.export_step, face=face)
        erasing.register(export_store.SubjectExports())
        job_kinds.register(
            policy_runs.KIND, policy_runs.run_step, face=job_kinds.Face("Policies", "/policies/")
        )
        job_kinds.register(
            erasures.KIND,
            erasure_walk.erase_step,
            face=job_kinds.Face("Erasure of a person", "/privacy/erasures/{key}/"),
        )
        erasing.register(erasure_stores.WORDS)
        erasing.register(erasure_stores.Vault(), is_last=True)
        view_kinds.register(audit_questions.KIND, audit_questions.AUDIT)
        post_migrate.connect(
            policies.after_migration, sender=self, dispatch_uid="governance.built_in_policies"
        )
        sign_ins.listen()
        factor_log.connect()
        post_migrate.connect(forget_permission_ids, dispatch_uid="governance.permission_ids")
