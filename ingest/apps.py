from django.apps import AppConfig


class IngestConfig(AppConfig):
    name = "ingest"

    def ready(self) -> None:
        # Models exist only now; the catalog, below, learns here how stored events are replayed
        # against a candidate, who keeps events that nobody registered and takes them up once
        # somebody does, who still sends what is deprecated, and how far ahead events reach.
        from catalog import impact  # noqa: PLC0415
        from catalog.samples import offer_discovered  # noqa: PLC0415
        from catalog.services.streams import follow_registrations  # noqa: PLC0415
        from catalog.services.tracks import ask_for_newest  # noqa: PLC0415
        from governance import erasing, job_kinds  # noqa: PLC0415
        from ingest.doors import door_segment  # noqa: PLC0415
        from ingest.erasing.stores import STORES  # noqa: PLC0415
        from ingest.protocols.segment import WORDS  # noqa: PLC0415
        from ingest.selectors import deprecated_uses, discovered, own_times  # noqa: PLC0415
        from ingest.selectors.repairs import DRY_RUN, REPLAY  # noqa: PLC0415
        from ingest.selectors.synthetic_runs import RUN  # noqa: PLC0415
        from ingest.services import archives  # noqa: PLC0415
        from ingest.services.letter_jobs import STEPS  # noqa: PLC0415
        from ingest.services.letters import replay_registered  # noqa: PLC0415
        from ingest.services.replays import replay_sample, replay_step  # noqa: PLC0415
        from ingest.services.synthetic_runs import run_step  # noqa: PLC0415
        from portal.http import problem  # noqa: PLC0415

        for word in (*WORDS, "projects"):
            problem.shape_errors(f"/v1/{word}", door_segment.shape)
        face = job_kinds.Face("Restore from the archive", "/ingest/storage/")
        job_kinds.register(archives.RESTORE, archives.restore_step, face=face)
        face = job_kinds.Face("Synthetic events", "/ingest/synthetic/{key}/")
        job_kinds.register(RUN, run_step, face=face)
        impact.register_replayer(replay_step)
        impact.register_sampler(replay_sample)
        impact.register_old_uses(deprecated_uses.uses_of_producer)
        follow_registrations(replay_registered)
        ask_for_newest(own_times.latest_after)
        offer_discovered(discovered.samples_of, discovered.types_for)
        names = {DRY_RUN: "Dry run of a repair", REPLAY: "Replay of dead letters"}
        for kind, step in STEPS.items():
            face = job_kinds.Face(names[kind], "/replays/{key}/")
            job_kinds.register(kind, step, face=face)
        for store in STORES:
            erasing.register(store)
