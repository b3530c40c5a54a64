from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        # Models exist only now; governance, below, learns here what it protects.
        from catalog import models  # noqa: PLC0415
        from catalog.selectors import resource_facts  # noqa: PLC0415
        from catalog.selectors.fields import described_fields, granted_fields  # noqa: PLC0415
        from governance import access, described, programs  # noqa: PLC0415
        from governance.types import Permission  # noqa: PLC0415
        from portal.kernel.actor import ActorKind  # noqa: PLC0415

        programs.register(
            programs.Programs(
                kind=ActorKind.CONSUMER,
                letter="c",
                permissions=frozenset(
                    {Permission.DISCOVER, Permission.READ_PAYLOAD, Permission.READ_PERSONAL}
                ),
                find=lambda name: models.Consumer.objects.filter(name=name).first(),
                of_teams=lambda teams: models.Consumer.objects.filter(team__in=teams)[:100],
            )
        )
        programs.register(
            programs.Programs(
                kind=ActorKind.PRODUCER,
                letter="p",
                permissions=frozenset({Permission.DISCOVER, Permission.PUBLISH}),
                find=lambda name: models.Producer.objects.filter(name=name).first(),
                of_teams=lambda teams: models.Producer.objects.filter(team__in=teams)[:100],
            )
        )
        access.protect(
            access.Protected(
                kind="domain",
                model=models.Domain,
                user_grants=models.DomainUserPermission,
                group_grants=models.DomainGroupPermission,
                find=lambda key: models.Domain.objects.filter(slug=key).first(),
                key="slug",
                program_grants={
                    ActorKind.CONSUMER: models.DomainConsumerPermission,
                    ActorKind.PRODUCER: models.DomainProducerPermission,
                },
                facts=resource_facts.domain_facts,
            )
        )
        access.protect(
            access.Protected(
                kind="stream",
                model=models.Stream,
                user_grants=models.StreamUserPermission,
                group_grants=models.StreamGroupPermission,
                find=lambda key: models.Stream.objects.filter(name=key).first(),
                parent="domain",
                restricted="restricted",
                fields=granted_fields,
                program_grants={
                    ActorKind.CONSUMER: models.StreamConsumerPermission,
                    ActorKind.PRODUCER: models.StreamProducerPermission,
                },
                has_globs=True,
                facts=resource_facts.stream_facts,
            )
        )

        described.describe_by(described_fields)
        from catalog import policy_subjects  # noqa: PLC0415
        from catalog.api import registry_door  # noqa: PLC0415
        from catalog.erasing import STORES  # noqa: PLC0415
        from catalog.selectors import reviews as review_facts  # noqa: PLC0415
        from catalog.services import changes, reports, reviews  # noqa: PLC0415
        from governance import erasing, job_kinds, reviewed  # noqa: PLC0415
        from governance.policies import facts as policy_kinds  # noqa: PLC0415
        from portal.http import problem  # noqa: PLC0415

        for subject in policy_subjects.subjects():
            policy_kinds.register(subject)
        policy_kinds.measure("stream", "stream.review_overdue_days", review_facts.overdue_days)
        reviewed.register(
            reviewed.Reviewed(
                kind="stream",
                key="name",
                due=review_facts.due_streams,
                stands=review_facts.stands_of,
                mark=reviews.mark_reviewed,
                address=lambda key: f"/streams/{key}/",
            )
        )
        problem.shape_errors("/registry", registry_door.shape)
        job_kinds.register(
            changes.REPORT,
            reports.change_report_step,
            face=job_kinds.Face("Change report", "/changes/{key}/"),
        )
        for store in STORES:
            erasing.register(store)
