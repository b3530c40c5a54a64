"""Every action that the code writes into the audit log answers to one verb of its sentence.

An action that is new fails here until it stands under the verb that people will ask with.
"""

import ast
import re
from collections.abc import Iterator

import pytest
from django.db import connection

from governance.models import AuditEntry
from governance.selectors import audit_log, audit_verbs
from tests.architecture.test_code_rules import APPS, MODULES, name_of

_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
# A star stands for what is put in as it runs.
ACTIONS: dict[str, set[str]] = {
    "saw": {
        "dead_letter.personal_read", "dead_letter.personal_revealed", "event.personal_read",
        "event.personal_revealed", "vault.looked_up",
    },
    "exported": {"dead_letter.exported", "subject_export.downloaded"},
    "was refused": {"access.refused"},
    "granted": {
        "access.break_glass", "access.break_glass_ended", "access.break_glass_reviewed",
        "access.confirmed", "access.delegated", "access.delegation_ended", "access.denied",
        "access.ended", "access.escalated", "access.extended", "access.granted", "access.requested",
        "access.withdrawn",
    },
    "changed": {
        "alarm.closed", "alarm.opened", "alarm.reopened", "consumer.changed", "consumer.created",
        "consumer.mapped", "dead_letter.*_started", "dead_letter.group_assigned",
        "dead_letter.group_known", "dead_letter.repair_approved", "dead_letter.repair_declared",
        "dead_letter.repair_declined", "dead_letter.replay_ended", "domain.changed",
        "domain.created", "draft.created", "draft.discarded", "draft.published", "draft.shared",
        "draft.thinned", "erasure.approved", "erasure.denied", "erasure.done", "erasure.escalated", "erasure.replayed",
        "erasure.requested", "erasure.resumed", "erasure.withdrawn", "experiment.created",
        "experiment.started", "experiment.stopped", "job.*_wanted", "job.resumed", "key.created",
        "key.revoked", "key.rotated", "metric.created", "person.density_chosen",
        "person.disabled", "person.enabled",
        "person.invited", "person.joined_company", "person.renamed", "person.mail_chosen", "person.password_changed",
        "person.roles_changed", "person.signed_up", "policy.changed", "policy.created",
        "policy.run", "policy.switched_off", "policy.switched_on", "policy.waived",
        "policy.waiver_ended", "privacy_keys.rotated", "privacy_subject.destroyed",
        "privacy_suggestion.accepted", "privacy_suggestion.dismissed", "producer.changed",
        "producer.created", "producer.quotas_changed", "registry.*_cleared", "registry.*_set",
        "registry.deleted", "review.completed", "review.escalated", "schema.approved",
        "schema.changes_asked", "schema.commented", "schema.default_set", "schema.deprecated",
        "schema.extended", "schema.field_extended", "schema.group_wanted", "schema.mended",
        "schema.proposed", "schema.published", "schema.rejected", "schema.retired",
        "schema.superseded", "schema.withdrawn", "second_factor.added", "second_factor.removed",
        "second_factor.renewed", "session.ended", "storage.run_wanted", "stream.changed",
        "stream.demoted", "stream.deprecated", "stream.enforcement_advanced",
        "stream.enforcement_moved", "stream.enforcement_rule_changed", "stream.filled",
        "stream.move_approved", "stream.move_asked", "stream.move_escalated",
        "stream.move_rejected",
        "stream.move_withdrawn", "stream.promoted", "stream.reactivated", "stream.registered",
        "stream.restore_ended", "stream.restored", "stream.retired", "subject_export.deleted",
        "subject_export.ready", "subject_export.removed", "subject_export.requested",
        "team.changed", "team.created", "team.group_changed", "team.joined", "team.lead_changed",
        "team.left",
        "term.changed", "term.created", "term.deleted", "view.changed", "view.deleted",
        "view.saved",
    },
}  # fmt: skip


def written() -> dict[str, set[str]]:
    """Each action in the code, with the files that write it."""
    found: dict[str, set[str]] = {}
    for path in MODULES:
        if "migrations" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_record(node.func):
                given = {word.arg: word.value for word in node.keywords}
                action = node.args[1] if len(node.args) > 1 else given["action"]
                for text in _texts(action, tree):
                    found.setdefault(text, set()).add(name_of(path))
    return found


def _is_record(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and called.attr == "record"
        and isinstance(called.value, ast.Name)
        and called.value.id == "audit"
    )


def _texts(action: ast.expr, tree: ast.Module) -> Iterator[str]:
    if isinstance(action, ast.Constant):
        yield str(action.value)
    elif isinstance(action, ast.IfExp):
        yield from _texts(action.body, tree)
        yield from _texts(action.orelse, tree)
    elif isinstance(action, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "*" for part in action.values
        )
    else:  # a variable: whatever is spelled as an action where it is made
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                is_action = _ACTION.fullmatch(node.value)
                if is_action and node.value.partition(".")[0] not in APPS:
                    yield node.value


def test_every_action_in_the_code_stands_under_one_verb() -> None:
    pinned = [action for actions in ACTIONS.values() for action in actions]
    assert len(pinned) == len(set(pinned)), "one verb each"
    assert {*ACTIONS, audit_verbs.TOUCHED} == set(audit_verbs.VERBS)
    found = written()
    assert {action: files for action, files in found.items() if action not in pinned} == {}
    assert set(pinned) - set(found) == set(), "written by nobody"
    for verb, actions in ACTIONS.items():
        assert {audit_verbs.verb_of(action) for action in actions} == {verb}


def test_nobody_writes_past_what_is_looked_at() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"from governance\.audit import .*\brecord\b", text), name_of(path)
        assert not re.search(r"import audit as ", text), name_of(path)


def test_the_looks_of_the_privacy_page_are_what_was_seen_and_taken_out() -> None:
    assert set(audit_log.LOOKS) == ACTIONS["saw"] | ACTIONS["exported"]
    assert set(audit_log.IN_CLEAR) < set(audit_log.LOOKS)


@pytest.mark.django_db
def test_the_database_gives_each_action_the_same_verb() -> None:
    actions = sorted(action for some in ACTIONS.values() for action in some)
    whens = AuditEntry.objects.alias(verb=audit_verbs.VERB).filter(verb="saw")
    sql, parameters = whens.values("seq").query.sql_with_params()
    case = sql[sql.index("CASE") : sql.index(" END") + 4]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT action, {case} FROM unnest(%s::text[]) AS governance_audit(action)",
            [*parameters[:-1], actions],
        )
        assert {row[0]: row[1] for row in cursor.fetchall()} == {
            action: audit_verbs.verb_of(action) for action in actions
        }
