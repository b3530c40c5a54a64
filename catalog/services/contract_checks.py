"""A producer's contract check against this catalog: nothing is kept, nothing is changed."""

from catalog import naming
from catalog.contract_checks import (
    ContractCheck,
    Outcome,
    check_of,
    new_stream,
    policies_of,
    style_of,
)
from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.field_index import fields_of
from catalog.models import Stream
from catalog.policy_files import facts_of_new, said_of_facts
from catalog.policy_subjects import STREAM
from catalog.schema_safety import check_schema, fingerprint
from catalog.selectors.neighbours import neighbours_of
from catalog.selectors.streams import get_stream
from catalog.services.reports import static_report
from catalog.style_lint import lint
from governance.policies.judging import rows_of
from governance.selectors.policies import live_rules
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError, sentence


def check_contract(
    outside: OutsideStream | Unreadable, *, actor: Actor, domain: str = "imported"
) -> ContractCheck:
    """The newest version of a file's stream against the catalog's active ones, under the stream's
    mode and policy; nothing is raised."""
    if isinstance(outside, Unreadable):
        return unread(outside)
    if not outside.versions:
        why = "The file holds no schema of it."
        return ContractCheck(outside.name, outside.where, Outcome.UNCHECKED, why=why)
    candidate = outside.versions[-1]
    try:
        check_schema(candidate.document)
        stream = _known(outside.name, domain, actor)
        if stream is None:
            name = naming.from_outside(outside.name, domain=domain)
            rows = fields_of(candidate.document)
            findings = lint(rows, candidate.document, name=name, neighbours=neighbours_of(actor))
            style = style_of([finding.as_dict() for finding in findings])
            said = said_of_facts(live_rules(STREAM), facts_of_new(outside, name=name))
            return new_stream(
                outside, stream=name, label=candidate.label, style=style,
                policies=policies_of(rows_of(said)),
            )  # fmt: skip
        if _is_active(stream, candidate.document):
            return ContractCheck(stream.name, outside.where, Outcome.UNCHANGED, candidate.label)
        report = static_report(stream, candidate.document)
        return check_of(outside, report, stream=stream.name, label=candidate.label)
    except PortalError as error:
        why = sentence(error)
        return ContractCheck(outside.name, outside.where, Outcome.ERRORS, candidate.label, why=why)


def unread(found: Unreadable) -> ContractCheck:
    """The check of what cannot be read: UNCHECKED, with the reason."""
    return ContractCheck(found.where, found.where, Outcome.UNCHECKED, why=found.why)


def _known(original: str, domain: str, actor: Actor) -> Stream | None:
    for name in (original, naming.from_outside(original, domain=domain)):
        try:
            return get_stream(actor, name)
        except NotFoundError:
            continue
    return None


def _is_active(stream: Stream, document: object) -> bool:
    digest = fingerprint(document)
    active = stream.versions.filter(state="active").only("document_sha256", "document")
    return any(digest in (bytes(row.document_sha256), fingerprint(row.document)) for row in active)
