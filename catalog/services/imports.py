"""Taking one stream in from outside through the same steps as the API, in one transaction.

Names are mapped (`catalog.naming.from_outside`) and keep their original as an alias. What a file
states is set, what it does not state stays as it is; taking the same in again changes nothing.

1. A file of another tool is taken kindly: nothing is refused for style or for breaking an earlier
   version (that opens a compatibility group); a fact that does not fit here is left out and noted.
2. A declaration (portal YAML) is taken at its word: a fact that does not fit refuses the stream, and
   so does a version that breaks a known stream's unless the file says that it opens a group.

Where a production stream asks for an approval, its new versions become proposals.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from catalog import naming
from catalog.classified import SENSITIVITY
from catalog.compatibility.types import Mode
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable, description_of
from catalog.exchange.plans import (
    Action,
    Breaking,
    FieldChange,
    Step,
    StreamPlan,
    VersionPlan,
    breaking_of,
)
from catalog.exchange.portal_keys import FACTS, foreign, portal_facts
from catalog.models import SchemaVersion, Stream, StreamAlias
from catalog.schema_safety import fingerprint
from catalog.services import import_parties as parties
from catalog.services.changes import Proposal, approvals_needed, open_change, start_report
from catalog.services.lifecycle import deprecate_version
from catalog.services.schemas import take_version, verdict_on
from catalog.services.streams import (
    MAX_DESCRIPTION,
    MAX_TAGS,
    NewStream,
    add_alias,
    change_stream,
    faults_of,
    is_taken,
    promote_stream,
    register_stream,
)
from catalog.types import Classification, Track, VersionState
from governance import access, audit
from governance.models import Team
from governance.types import Permission
from portal.kernel import clock, rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, InvalidError, PortalError
from portal.kernel.slugs import SLUG

_JUDGING: Final = ("compatibility_mode", "compatibility_policy")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_NOT_IN_SLUGS: Final = re.compile(r"[^a-z0-9]+")
NOTE: Final = "imported"
_LONGEST_LABEL: Final = 60


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one stream. `plan.versions` follow the input."""

    stream: Stream
    plan: StreamPlan

    @property
    def is_new(self) -> bool:
        return self.plan.action is Action.CREATE

    @property
    def new_versions(self) -> int:
        return len(self.plan.new_versions)

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(one.version for one in self.plan.versions)


@transaction.atomic
def import_stream(
    outside: OutsideStream, *, actor: Actor, domain: str = "imported", declared: bool = False
) -> Imported:
    """Register a stream from outside or bring it up to date.

    Raises InvalidError for a name that leaves nothing or a schema that cannot be taken,
    ConflictError when the name is not to be had or a version of the same label holds something
    else here, NotPermittedError when the actor may not change what would change.
    """
    with audit.held_back():
        return _Import(outside, actor, declared=declared).run(domain)


class _Import:
    """One stream on its way in; what was done gathers in `changes`, `versions` and `notes`."""

    def __init__(self, outside: OutsideStream, actor: Actor, *, declared: bool) -> None:
        self.outside, self.actor, self.declared = outside, actor, declared
        self.note = "" if declared else NOTE
        self.portal: Mapping[str, Any] = portal_facts(outside.extensions)
        self.changes: list[FieldChange] = []
        self.versions: list[VersionPlan] = []
        self.notes: list[str] = []
        self.is_new = False

    def run(self, domain: str) -> Imported:
        name = naming.from_outside(self.outside.name, domain=_domain(self.outside.domain, domain))
        self._check_domain(name)
        stream = self._known(name)
        owner = self._owner()
        rest = self.outside.versions
        if stream is None:
            stream, rest = self._register(name, owner), rest[1:]
        else:
            self._change(stream, {key: self._fact(key) for key in _JUDGING})
        for place, version in enumerate(rest, start=1):
            self.versions.append(self._take(stream, version, is_last=place == len(rest)))
        self._deprecate(stream)
        self._promote(stream)
        self._change(stream, self._facts(stream, owner))
        for alias in (self.outside.name, *self.outside.aliases):
            self._alias(stream, alias)
        self._parties(stream)
        if not self.is_new and any(one.step is Step.ADD for one in self.versions):
            self._tell_versions(stream)
        return Imported(stream, self._plan(stream))

    def _plan(self, stream: Stream) -> StreamPlan:
        is_changed = bool(self.changes) or any(one.step is not Step.KNOWN for one in self.versions)
        known = Action.CHANGE if is_changed else Action.UNCHANGED
        return StreamPlan(
            name=stream.name,
            original=self.outside.name,
            where=self.outside.where,
            action=Action.CREATE if self.is_new else known,
            changes=() if self.is_new else tuple(self.changes),
            versions=tuple(self.versions),
            notes=tuple(self.notes),
        )

    def _check_domain(self, name: str) -> None:
        said = self.outside.domain
        if self.declared and said and said != naming.domain_of(name):
            raise InvalidError(
                f"The domain of {name} is {naming.domain_of(name)}, its first part, not {said}.",
                code="domain",
            )

    # --- The stream itself --------------------------------------------------------------------

    def _known(self, name: str) -> Stream | None:
        """The stream that this name from outside meant before, if the actor may know of it."""
        original = self.outside.name
        alias = StreamAlias.objects.select_related("stream").filter(alias=original).first()
        found = alias.stream if alias is not None else None
        if found is None and original == name:
            found = Stream.objects.filter(name=name).first()
        if found is not None and not access.may(self.actor, Permission.DISCOVER, found):
            raise ConflictError("The name is taken.", code="name_taken")
        return found

    def _register(self, name: str, owner: Team | None) -> Stream:
        outside = self.outside
        if not outside.versions:
            raise InvalidError("A new stream needs a schema.", code="schema_missing")
        first, newest = outside.versions[0], outside.versions[-1]
        self.is_new = True
        facts = self._facts(None, owner)
        tags = facts.pop("tags", ())
        described = "" if self.declared else description_of(newest.document)
        stream = register_stream(
            NewStream(
                name=naming.free_name(name, is_taken),
                document=first.document,
                description=facts.pop("description", described),
                title=facts.pop("title", ""),
                owner_team=facts.pop("owner_team", self._own_team()),
                tags=tags,
                label=_label(first),
                note=first.note or self.note,
                origin="import",
                version_extensions=foreign(first.extensions),
                **{key: facts.pop(key) for key in ("tier", "classification") if key in facts},
                extra=facts,
            ),
            actor=self.actor,
        )
        self.versions.append(VersionPlan(1, _label(first), Step.ADD))
        return stream

    def _own_team(self) -> Team | None:
        """Whose a stream is that no file gives to anybody: the team of who brings it, if they have
        one; they could not change it afterwards otherwise."""
        if self.actor.is_admin or len(self.actor.team_ids) != 1:
            return None
        return Team.objects.filter(pk__in=self.actor.team_ids).first()

    def _owner(self) -> Team | None:
        said = self.outside.owner
        if not said:
            return None
        team = Team.objects.filter(slug=said if self.declared else slug_of(said)).first()
        if team is None:
            self._leave_out(f"There is no team {said} here.")
        return team

    # --- Facts --------------------------------------------------------------------------------

    def _facts(self, stream: Stream | None, owner: Team | None) -> dict[str, Any]:
        """What the file states, in the catalog's words, without what does not fit here."""
        stated = {
            "title": self.outside.title,
            "description": self.outside.description,
            "tier": self.outside.tier,
            "classification": self.outside.classification,
            "compatibility_mode": self.outside.compatibility_mode,
            "compatibility_policy": self.outside.compatibility_policy,
            "retention_days": self.outside.retention_days,
            "owner_team": owner,
            "tags": self._tags(),
            **{key: self.portal[key] for key in FACTS if key in self.portal},
        }
        facts = {key: value for key, value in stated.items() if value not in (None, "", [])}
        if kept := foreign(self.outside.extensions):
            facts["extensions"] = {**(stream.extensions if stream is not None else {}), **kept}
        if self.declared:
            return facts
        facts["title"], facts["description"] = self.outside.title[:200], self._description()
        for fault in faults_of(facts):
            self._leave_out(f"{fault.pointer.strip('/')} {fault.detail}.")
            facts.pop(fault.pointer.strip("/"), None)
        if stream is not None and _is_lower(facts.get("classification"), stream.classification):
            del facts[
                "classification"
            ]  # a file of another tool never makes a stream less sensitive
        return {key: value for key, value in facts.items() if value != ""}

    def _fact(self, key: str) -> Any:
        """One stated fact, or None."""
        value = getattr(self.outside, key)
        return value if value and (self.declared or not faults_of({key: value})) else None

    def _description(self) -> str:
        said = self.outside.description
        if len(said) > MAX_DESCRIPTION:
            self._leave_out(f"description is cut to {MAX_DESCRIPTION:,} characters.")
        return said[:MAX_DESCRIPTION]

    def _tags(self) -> list[str]:
        if self.declared:
            return list(self.outside.tags)
        tags = [slug for said in self.outside.tags if (slug := slug_of(said))]
        return sorted(set(tags))[:MAX_TAGS]

    def _change(self, stream: Stream, wanted: Mapping[str, Any]) -> None:
        """Set those facts that differ."""
        changes: dict[str, Any] = {}
        for key, new in wanted.items():
            old = _present(stream, key)
            if new is not None and _comparable(new) != _comparable(old):
                changes[key] = new
                self.changes.append(FieldChange(_word(key), _plain(old), _plain(new)))
        if changes:
            change_stream(stream, changes, actor=self.actor)

    def _promote(self, stream: Stream) -> None:
        wanted = self.outside.track
        if not wanted or wanted == stream.track:
            return
        if wanted != Track.PRODUCTION:
            self._leave_out("A stream does not go back from the production track.")
            return
        self.changes.append(FieldChange("track", stream.track, wanted))
        promote_stream(stream, actor=self.actor)

    def _alias(self, stream: Stream, alias: str) -> None:
        if alias == stream.name or stream.aliases.filter(alias=alias).exists():
            return
        if not self.is_new:
            access.require(self.actor, Permission.EDIT, stream)
        try:
            with transaction.atomic():
                add_alias(stream, alias, origin="import")
        except PortalError as error:
            self._leave_out(f"The alias {alias} cannot be kept: {error.detail}")
        else:
            self.changes.append(FieldChange("alias", None, alias))

    def _parties(self, stream: Stream) -> None:
        """Producers and consumers that the file names for the stream."""
        tie = {"producer": parties.let_send, "consumer": parties.let_read}
        named = [("producer", name) for name in self.outside.producers]
        named += [("consumer", name) for name in self.outside.consumers]
        for kind, said in named:
            name = said if self.declared else slug_of(said)
            try:
                with transaction.atomic():
                    is_tied = tie[kind](name, stream, actor=self.actor)
            except PortalError as error:
                self._leave_out(f"The {kind} {said}: {error.detail}", error)
            else:
                if is_tied:
                    self.changes.append(FieldChange(kind, None, name))

    def _leave_out(self, why: str, error: PortalError | None = None) -> None:
        """Note what of a file of another tool is left out; a declaration is refused for it."""
        if self.declared:
            raise error or InvalidError(why, code="not_fitting")
        if why not in self.notes:
            self.notes.append(why)

    # --- Versions -----------------------------------------------------------------------------

    def _take(self, stream: Stream, version: OutsideVersion, *, is_last: bool) -> VersionPlan:
        row = self._same(stream, version, is_last=is_last)
        if row is not None:
            self._keep_extensions(stream, row, version)
            return VersionPlan(row.version, row.label, Step.KNOWN)
        if not self.is_new:
            access.require(self.actor, Permission.EDIT, stream)
        says_new = portal_facts(version.extensions).get("compatibility_group") == "new"
        if approvals_needed(stream, self.actor):
            return self._propose(stream, version, opens=says_new or not self.declared)
        may_open = None if self.is_new or not self.declared else False
        row, verdict = take_version(
            stream,
            version.document,
            actor=self.actor,
            label=_label(version),
            note=version.note or self.note,
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

    def _propose(self, stream: Stream, version: OutsideVersion, *, opens: bool) -> VersionPlan:
        verdict = verdict_on(stream, version.document)
        proposal = Proposal(
            version.document, label=_label(version), summary=version.note or NOTE,
            opens_group=opens and not verdict.compatible,
        )  # fmt: skip
        try:
            with transaction.atomic():
                change = open_change(stream, proposal, actor=self.actor)
        except ConflictError as error:
            if error.code != "unchanged":
                raise
            number = error.extra["version"]
            assert isinstance(number, int)
            return VersionPlan(number, _label(version), Step.KNOWN)
        start_report(change, actor=self.actor)
        return VersionPlan(
            change.version.version,
            change.version.label,
            Step.PROPOSE,
            opens_group=proposal.opens_group,
            breaking=breaking_of(verdict.differences, Mode(stream.compatibility_mode).directions),
        )

    def _same(
        self, stream: Stream, version: OutsideVersion, *, is_last: bool
    ) -> SchemaVersion | None:
        """The version that this one is already: by its label, else by what it holds.

        A declaration without labels means the newest version by its last one.
        """
        known = SchemaVersion.objects.filter(stream=stream)
        if self.declared:
            known = known.exclude(state=VersionState.REJECTED)
        if label := _label(version):
            same = known.filter(label=label).order_by("-version").first()
            if same is None and _NUMBER.fullmatch(label):
                same = known.filter(version=int(label), label="").first()
            if same is not None and not _holds(same, version.document):
                raise ConflictError(
                    f"Version {label} of {stream.name} holds another schema here.",
                    code="version_differs",
                )
            return same
        if self.declared and is_last:
            newest = known.order_by("-version").first()
            return newest if newest is not None and _holds(newest, version.document) else None
        return known.filter(document_sha256=fingerprint(version.document)).first()

    def _keep_extensions(self, stream: Stream, row: SchemaVersion, version: OutsideVersion) -> None:
        wanted = {**row.extensions, **foreign(version.extensions)}
        if wanted == row.extensions:
            return
        access.require(self.actor, Permission.EDIT, stream)
        SchemaVersion.objects.filter(pk=row.pk).update(extensions=wanted)
        self.changes.append(
            FieldChange(f"version {row.version} extensions", sorted(row.extensions), sorted(wanted))
        )

    def _deprecate(self, stream: Stream) -> None:
        """Those versions that the file calls deprecated and that are active here."""
        for version, plan in zip(self.outside.versions, self.versions, strict=True):
            said = portal_facts(version.extensions)
            if said.get("state") != VersionState.DEPRECATED or plan.step is Step.PROPOSE:
                continue
            row = stream.versions.select_related("stream").get(version=plan.version)
            if row.state != VersionState.ACTIVE:
                continue
            sunset = _moment(said.get("sunset_at"))
            if row.version == stream.default_version or sunset is None or sunset <= clock.now():
                self._leave_out(f"Version {row.version} cannot be deprecated until {sunset}.")
                continue
            note = str(said.get("migration") or "See the newest version.")
            deprecate_version(row, actor=self.actor, sunset_at=sunset, migration=note)
            self.changes.append(FieldChange(f"version {row.version}", "active", "deprecated"))

    def _tell_versions(self, stream: Stream) -> None:
        added = sum(one.step is Step.ADD for one in self.versions)
        audit.record(
            self.actor,
            "schema.published",
            stream.ref,
            summary=f"imported {added} versions of {stream.name}",
        )


def import_or_refuse(
    outside: OutsideStream | Unreadable, *, actor: Actor, domain: str, declared: bool = False
) -> StreamPlan:
    """One stream taken in, or the plan that says why it was not."""
    if isinstance(outside, Unreadable):
        return unreadable(outside)
    try:
        return import_stream(outside, actor=actor, domain=domain, declared=declared).plan
    except PortalError as error:
        return refusal(outside, error)


def unreadable(found: Unreadable) -> StreamPlan:
    return StreamPlan("", "", found.where, Action.REFUSED, refused=found.why)


def slug_of(said: str) -> str:
    """A foreign name as a slug; a slug is itself, and what leaves nothing is empty."""
    if SLUG.fullmatch(said):
        return said[:60].strip("-")
    return _NOT_IN_SLUGS.sub("-", said.lower()).strip("-")[:60].strip("-")


def refusal(outside: OutsideStream, error: PortalError) -> StreamPlan:
    """The plan of a stream that was refused."""
    is_breaking = error.code == "incompatible"
    first = f" {error.errors[0].pointer}: {error.errors[0].detail}" if error.errors else ""
    return StreamPlan(
        name="",
        original=outside.name,
        where=outside.where,
        action=Action.REFUSED,
        refused=error.detail if is_breaking else f"{error.detail}{first}",
        breaking=tuple(
            Breaking(path=one.pointer, change=one.code, detail=one.detail)
            for one in (error.errors if is_breaking else ())
        ),
    )


def _domain(said: str, default: str) -> str:
    """The domain of a name of a single part: the file's own, mapped, else the default."""
    if not said:
        return default
    return naming.from_outside(f"{said}/event", domain=default).rsplit(".", 1)[0]


def _label(version: OutsideVersion) -> str:
    return version.label[:_LONGEST_LABEL]


def _holds(row: SchemaVersion, document: Any) -> bool:
    """Whether a version is this document, also as the database spells its numbers."""
    digest = fingerprint(document)
    return digest in (bytes(row.document_sha256), fingerprint(row.document))


def _is_first_of_its_group(row: SchemaVersion) -> bool:
    group = SchemaVersion.objects.filter(
        stream=row.stream_id, compatibility_group=row.compatibility_group
    )
    return row.compatibility_group > 1 and not group.exclude(pk=row.pk).exists()


def _is_lower(wanted: str | None, present: str) -> bool:
    if wanted is None:
        return False
    order = SENSITIVITY.index
    return order(Classification(wanted)) < order(Classification(present))


def _moment(said: Any) -> datetime | None:
    try:
        return rfc3339.parse(said) if isinstance(said, str) else None
    except ValueError:
        return None


def _present(stream: Stream, key: str) -> Any:
    if key == "tags":
        return sorted(stream.tags.values_list("slug", flat=True))
    return getattr(stream, key)


def _comparable(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Team):
        return value.slug
    return sorted(value) if isinstance(value, Mapping) else value


def _word(key: str) -> str:
    return {"owner_team": "owner"}.get(key, key)
