"""Writing the glossary: terms and what uses them. Each write is one audited transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from catalog.models import SchemaField, Stream, Term, TermUse
from catalog.selectors.glossary import visible_uses
from governance import audit
from governance.errors import ScopeNeededError, TeamNeededError
from governance.models import Team
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, PreconditionFailedError
from portal.kernel.once import only_once
from portal.kernel.slugs import check_slug

MAX_DEFINITION: Final = 4_000
MAX_SYNONYMS: Final = 20
MAX_USES: Final = 200
CHANGEABLE: Final = frozenset({"name", "definition", "owner_team", "synonyms", "uses"})
# A stream, a field of one stream, or a field of this name in every stream.
Use = tuple[Stream | None, str]


@transaction.atomic
def create_term(
    slug: str,
    *,
    actor: Actor,
    name: str,
    definition: str,
    owner_team: Team | None = None,
    synonyms: Sequence[str] = (),
    uses: Sequence[Use] = (),
) -> Term:
    """Make a term for a team of one's own; admins make them for any, and for none.

    Raises ConflictError when the slug is taken, InvalidError for a text or a use that breaks a rule.
    """
    require_keeper(owner_team, actor)
    check_slug(slug)
    if slug == "new":
        raise InvalidError(
            "The name breaks a rule.", errors=[FieldError("/slug", "slug", "is kept for a page")]
        )
    _check({"name": name, "definition": definition, "synonyms": synonyms})
    with only_once("There is a term of this name already."):
        term = Term.objects.create(
            slug=slug,
            name=name.strip(),
            definition=definition.strip(),
            owner_team=owner_team,
            synonyms=_cleaned(synonyms),
            created_by=actor.label,
        )
    _set_uses(term, uses, actor)
    audit.record(actor, "term.created", term.ref, summary=f"made the term {name.strip()}")
    return term


@transaction.atomic
def change_term(
    term: Term, changes: Mapping[str, Any], *, actor: Actor, revision: int | None = None
) -> Term:
    """Change a term, unless somebody changed it since `revision`. `uses` replaces those that the
    actor may know of; the others stay."""
    require_keeper(term.owner_team, actor)
    if not changes:
        return term
    if unknown := set(changes) - CHANGEABLE:
        raise InvalidError(
            "Some members cannot be changed.",
            errors=[FieldError(f"/{name}", "fixed", "cannot be changed") for name in unknown],
        )
    if "owner_team" in changes:
        require_keeper(changes["owner_team"], actor)
    _check(changes)
    facts = {name: value for name, value in changes.items() if name != "uses"}
    for name in ("name", "definition"):
        if name in facts:
            facts[name] = facts[name].strip()
    if "synonyms" in facts:
        facts["synonyms"] = _cleaned(facts["synonyms"])
    rows = Term.objects.filter(pk=term.pk)
    if revision is not None:
        rows = rows.filter(revision=revision)
    if not rows.update(revision=F("revision") + 1, updated_at=clock.now(), **facts):
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    if "uses" in changes:
        _set_uses(term, changes["uses"], actor)
    term.refresh_from_db()
    audit.record(
        actor,
        "term.changed",
        term.ref,
        summary=f"changed {', '.join(sorted(changes))} of the term {term.name}",
    )
    return term


@transaction.atomic
def delete_term(term: Term, *, actor: Actor, revision: int | None = None) -> None:
    """Take a term out of the glossary, with its links; the audit log keeps what it said."""
    require_keeper(term.owner_team, actor)
    rows = Term.objects.filter(pk=term.pk)
    if revision is not None:
        rows = rows.filter(revision=revision)
    held = rows.select_for_update(of=("self",)).first()
    if held is None:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    before = {"name": held.name, "definition": held.definition, "synonyms": held.synonyms}
    held.delete()
    audit.record(
        actor, "term.deleted", term.ref, summary=f"deleted the term {term.name}", before=before
    )


def require_keeper(team: Team | None, actor: Actor) -> None:
    """Refuse whoever is neither in the team that keeps a term nor an admin."""
    if actor.is_admin:
        return
    if not actor.is_person or team is None or team.pk not in actor.team_ids:
        raise TeamNeededError(
            "Terms are kept by a team; only its people and admins write them.", "glossary.write"
        )
    if "write" not in actor.scopes:
        raise ScopeNeededError("write")


def may_keep(team: Team | None, actor: Actor) -> bool:
    """Whether `require_keeper` would let the actor through: pages leave out what it would not."""
    return actor.is_admin or (
        actor.is_person
        and "write" in actor.scopes
        and team is not None
        and team.pk in actor.team_ids
    )


def _set_uses(term: Term, uses: Sequence[Use], actor: Actor) -> None:
    wanted = {(stream.pk if stream else None, field) for stream, field in uses}
    if len(wanted) > MAX_USES:
        raise InvalidError(
            "Too many uses.", errors=[FieldError("/uses", "too_many", f"at most {MAX_USES}")]
        )
    faults = [
        FieldError(f"/uses/{place}", code, said)
        for place, (stream, field) in enumerate(uses)
        for code, said in _faults(stream, field)
    ]
    if faults:
        raise InvalidError("Some uses break a rule.", errors=faults)
    there = {(use.stream_id, use.field): use.pk for use in visible_uses(actor, term)}
    TermUse.objects.filter(
        pk__in=[pk for place, pk in there.items() if place not in wanted]
    ).delete()
    TermUse.objects.bulk_create(
        (
            TermUse(term=term, stream_id=stream, field=field)
            for stream, field in sorted(wanted - set(there), key=lambda use: (use[0] or 0, use[1]))
        ),
        ignore_conflicts=True,
    )


def _faults(stream: Stream | None, field: str) -> list[tuple[str, str]]:
    if stream is None and not field:
        return [("required", "name a stream, a field, or both")]
    if "\0" in field or len(field) > 500:
        return [("text", "at most 500 characters")]
    if stream is not None and field:
        known = SchemaField.objects.filter(stream=stream, is_current=True, path=field)
        if not known.exists():
            return [("unknown", "is no field of the stream's contract")]
    return []


def _check(values: Mapping[str, Any]) -> None:
    faults = []
    for name, longest in (("name", 120), ("definition", MAX_DEFINITION)):
        if name in values and not 0 < len(values[name].strip()) <= longest:
            faults.append(FieldError(f"/{name}", "text", f"from 1 to {longest:,} characters"))
    synonyms = _cleaned(values.get("synonyms", ()))
    if len(synonyms) > MAX_SYNONYMS or any(len(word) > 120 for word in synonyms):
        faults.append(
            FieldError("/synonyms", "text", f"at most {MAX_SYNONYMS}, of 120 characters each")
        )
    if any(
        "\0" in text for text in (values.get("name", ""), values.get("definition", ""), *synonyms)
    ):
        faults.append(FieldError("/name", "text", "holds a character that cannot be stored"))
    if faults:
        raise InvalidError("The term breaks a rule.", errors=faults)


def _cleaned(synonyms: Sequence[str]) -> list[str]:
    """Each once, without blanks around it, in the order given."""
    return list(dict.fromkeys(word.strip() for word in synonyms if word.strip()))
