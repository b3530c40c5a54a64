"""The versions that a file holds of a stream: known, added, or proposed for approval."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from catalog.compatibility.types import Mode
from catalog.exchange.documents import OutsideVersion
from catalog.exchange.plans import FieldChange, Step, VersionPlan, breaking_of
from catalog.exchange.portal_keys import foreign, portal_facts
from catalog.models import SchemaVersion, Stream
from catalog.schema_safety import fingerprint
from catalog.services.changes import Proposal, approvals_needed, open_change, start_report
from catalog.services.import_taking import NOTE, Taking
from catalog.services.lifecycle import deprecate_version
from catalog.services.schemas import take_version, verdict_on
from catalog.types import VersionState
from governance import access
from governance.types import Permission
from portal.kernel import clock, rfc3339
from portal.kernel.errors import ConflictError

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_LONGEST_LABEL: Final = 60


def take_versions(taking: Taking, stream: Stream, versions: Sequence[OutsideVersion]) -> None:
    """Take these versions in, in their order."""
    for place, version in enumerate(versions, start=1):
        plan = _take(taking, stream, version, is_last=place == len(versions))
        taking.versions.append(plan)


def label_of(version: OutsideVersion) -> str:
    """The label as it is kept here."""
    return version.label[:_LONGEST_LABEL]


def _take(taking: Taking, stream: Stream, version: OutsideVersion, *, is_last: bool) -> VersionPlan:
    known = _same(taking, stream, version, is_last=is_last)
    if known is not None:
        _keep_extensions(taking, stream, known, version)
        return VersionPlan(known.version, known.label, Step.KNOWN)
    taking.require_edit(stream)
    says_new = portal_facts(version.extensions).get("compatibility_group") == "new"
    if approvals_needed(stream, taking.actor):
        return _propose(taking, stream, version, opens=says_new or not taking.declared)
    # A new stream's file is its history, which nobody reads yet; a known one's must say so.
    may_open = None if taking.is_new or not taking.declared else False
    row, verdict = take_version(
        stream,
        version.document,
        actor=taking.actor,
        label=label_of(version),
        note=version.note or taking.note,
        extensions=foreign(version.extensions),
        opens_group=True if says_new else may_open,
    )
    if verdict is None:
        return VersionPlan(row.version, row.label, Step.KNOWN)
    return VersionPlan(
        row.version,
        row.label,
        Step.ADD,
        opens_group=_is_first_of_its_group(row),
        breaking=breaking_of(verdict.differences, Mode(stream.compatibility_mode).directions),
    )


def _propose(
    taking: Taking, stream: Stream, version: OutsideVersion, *, opens: bool
) -> VersionPlan:
    verdict = verdict_on(stream, version.document)
    proposal = Proposal(
        version.document, label=label_of(version), summary=version.note or NOTE,
        opens_group=opens and not verdict.compatible,
    )  # fmt: skip
    try:
        with transaction.atomic():
            change = open_change(stream, proposal, actor=taking.actor)
    except ConflictError as error:
        if error.code != "unchanged":
            raise
        number = error.extra["version"]
        assert isinstance(number, int)
        return VersionPlan(number, label_of(version), Step.KNOWN)
    start_report(change, actor=taking.actor)
    return VersionPlan(
        change.version.version,
        change.version.label,
        Step.PROPOSE,
        opens_group=proposal.opens_group,
        breaking=breaking_of(verdict.differences, Mode(stream.compatibility_mode).directions),
    )


def _same(
    taking: Taking, stream: Stream, version: OutsideVersion, *, is_last: bool
) -> SchemaVersion | None:
    """The version that this one is already: by its label, else by what it holds.

    A declaration without labels means the newest version by its last one.
    """
    known = SchemaVersion.objects.filter(stream=stream)
    if taking.declared:
        known = known.exclude(state=VersionState.REJECTED)
    if label := label_of(version):
        same = known.filter(label=label).order_by("-version").first()
        if same is None and _NUMBER.fullmatch(label):
            same = known.filter(version=int(label), label="").first()
        if same is not None and not _holds(same, version.document):
            raise ConflictError(
                f"Version {label} of {stream.name} holds another schema here.",
                code="version_differs",
            )
        return same
    if taking.declared and is_last:
        newest = known.order_by("-version").first()
        return newest if newest is not None and _holds(newest, version.document) else None
    return known.filter(document_sha256=fingerprint(version.document)).first()


def _holds(row: SchemaVersion, document: Any) -> bool:
    """Whether a version is this document, also as the database spells its numbers."""
    digest = fingerprint(document)
    return digest in (bytes(row.document_sha256), fingerprint(row.document))


def _is_first_of_its_group(row: SchemaVersion) -> bool:
    group = SchemaVersion.objects.filter(
        stream=row.stream_id, compatibility_group=row.compatibility_group
    )
    return row.compatibility_group > 1 and not group.exclude(pk=row.pk).exists()


def _keep_extensions(
    taking: Taking, stream: Stream, row: SchemaVersion, version: OutsideVersion
) -> None:
    wanted = {**row.extensions, **foreign(version.extensions)}
    if wanted == row.extensions:
        return
    access.require(taking.actor, Permission.EDIT, stream)
    SchemaVersion.objects.filter(pk=row.pk).update(extensions=wanted)
    taking.changes.append(
        FieldChange(f"version {row.version} extensions", sorted(row.extensions), sorted(wanted))
    )


def deprecate_versions(taking: Taking, stream: Stream) -> None:
    """Deprecate those versions that the file calls deprecated and that are active here."""
    for version, plan in zip(taking.outside.versions, taking.versions, strict=True):
        said = portal_facts(version.extensions)
        if said.get("state") != VersionState.DEPRECATED or plan.step is Step.PROPOSE:
            continue
        row = stream.versions.select_related("stream").get(version=plan.version)
        if row.state != VersionState.ACTIVE:
            continue
        sunset = _moment(said.get("sunset_at"))
        if row.version == stream.default_version or sunset is None or sunset <= clock.now():
            taking.leave_out(
                f"Version {row.version} cannot be deprecated: the newest is in use, and another "
                "needs a sunset_at that lies ahead."
            )
            continue
        note = str(said.get("migration") or "See the newest version.")
        deprecate_version(row, actor=taking.actor, sunset_at=sunset, migration=note)
        taking.changes.append(FieldChange(f"version {row.version}", "active", "deprecated"))


def _moment(said: Any) -> datetime | None:
    try:
        return rfc3339.parse(said) if isinstance(said, str) else None
    except ValueError:
        return None
