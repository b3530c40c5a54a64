"""`apply`: the catalog becomes as a portal file says, as a whole or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from catalog.exchange import portal_yaml, yaml_writing
from catalog.exchange.plans import Action, Plan
from catalog.exchange.portal_yaml import PortalFile
from catalog.models import Consumer, Domain, Producer, SchemaVersion, Stream
from catalog.selectors import exports
from catalog.selectors.exchange import declared, living_streams
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.exchange import apply_file
from catalog.services.imports import import_stream
from catalog.services.producers import create_producer
from governance.models import AuditEntry, Policy, Team
from governance.types import Role
from portal.kernel.actor import SYSTEM, Actor
from tests.catalog.exchange_services.conftest import BREAKING, FIRST, SECOND, outside
from tests.support.factories import make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db


def declaration(*versions: Any, **facts: Any) -> dict[str, Any]:
    """A portal file of everything that can be declared, as plain values."""
    return {
        "apiVersion": "portal/v1",
        "teams": [{"slug": "refunds", "name": "Refunds"}],
        "domains": [{"slug": "shop", "name": "The shop", "owner": "refunds"}],
        "streams": [
            {
                "name": "shop.refund_issued",
                "owner": "refunds",
                "description": "Money went back.",
                "tier": "T1",
                **facts,
                "versions": list(versions) or [{"label": "1", "schema": FIRST}],
            }
        ],
        "producers": [{"name": "refunder", "team": "refunds", "streams": ["shop.refund_issued"]}],
        "consumers": [
            {
                "name": "billing",
                "kind": "dashboard",
                "mappings": [
                    {"stream": "shop.refund_issued", "fields": ["refund_id"], "purpose": "Books."}
                ],
            }
        ],
    }


def text_of(document: dict[str, Any]) -> str:
    return yaml_writing.dump_yaml(document)


def read(document: dict[str, Any]) -> PortalFile:
    found = portal_yaml.read(text_of(document), where="portal.yaml")
    assert found.unreadable == ()
    return found


def apply(document: dict[str, Any], actor: Actor = SYSTEM, **options: Any) -> Plan:
    return apply_file(read(document), actor=actor, **options)


def said(plan: Plan) -> str:
    return "\n".join(plan.lines())


def test_a_file_makes_everything_it_declares_and_the_second_time_nothing() -> None:
    plan = apply(declaration())
    assert plan.summary() == "Applied: 5 added, 0 changed, 0 removed."
    stream = Stream.objects.get()
    assert stream.owner_team == Team.objects.get(slug="refunds")
    assert (stream.tier, stream.description) == ("T1", "Money went back.")
    assert Domain.objects.get(slug="shop").name == "The shop"
    assert Producer.objects.get().permitted.get().stream == stream
    mapping = Consumer.objects.get().mappings.get()
    assert (mapping.fields, mapping.purpose) == (["refund_id"], "Books.")
    rows = AuditEntry.objects.count()
    again = apply(declaration())
    assert (again.has_work, again.count(Action.UNCHANGED)) == (False, 5)
    assert AuditEntry.objects.count() == rows


def test_a_dry_run_shows_the_plan_and_changes_nothing() -> None:
    apply(declaration())
    versions = [{"label": "1", "schema": FIRST}, {"label": "2", "schema": SECOND}]
    changed = declaration(*versions, description="Money went back to a customer.")
    plan = apply(changed, dry_run=True)
    assert plan.summary() == "Plan: 0 to add, 1 to change, 0 to remove."
    text = said(plan)
    assert "~ stream shop.refund_issued" in text
    assert "description: Money went back. → Money went back to a customer." in text
    assert "+ version 2" in text
    assert "= producer refunder" in text
    assert (SchemaVersion.objects.count(), Stream.objects.get().description) == (
        1,
        "Money went back.",
    )


def test_what_the_file_does_not_mention_is_left_alone() -> None:
    apply(declaration(tags=["money"]))
    bare = {
        "apiVersion": "portal/v1",
        "streams": [{"name": "shop.refund_issued", "title": "Refund issued"}],
    }
    assert said(apply(bare)).splitlines()[1:] == ["    title: (none) → Refund issued"]
    stream = Stream.objects.get()
    assert (stream.tier, list(stream.tags.values_list("slug", flat=True))) == ("T1", ["money"])


def test_a_schema_without_a_label_that_differs_from_the_newest_is_the_next_version() -> None:
    apply(declaration({"schema": FIRST}))
    assert apply(declaration({"schema": SECOND})).new_versions == 1
    assert not apply(declaration({"schema": SECOND})).has_work
    # Back to what the first version held: that is a version of its own.
    assert apply(declaration({"schema": FIRST})).new_versions == 1
    assert Stream.objects.get().default_version == 3


def test_a_breaking_version_is_refused_with_the_engine_s_sentence_and_nothing_is_kept() -> None:
    apply(declaration({"schema": FIRST}))
    worse = declaration({"schema": BREAKING}, description="Changed too.")
    plan = apply(worse)
    assert [one.name or one.original for one in plan.refused] == ["shop.refund_issued"]
    assert "amount_minor" in plan.refused[0].breaking[0].detail
    assert "breaks: " in said(plan)
    assert (plan.is_applied, Stream.objects.get().description) == (False, "Money went back.")


def test_a_breaking_version_is_taken_when_the_file_opens_a_group_and_is_flagged() -> None:
    apply(declaration({"schema": FIRST}))
    plan = apply(declaration({"schema": BREAKING, "compatibility_group": "new"}))
    (stream,) = (one for one in plan.streams if one.kind == "stream")
    assert "opens a compatibility group" in said(plan)
    assert stream.new_versions[0].breaking
    assert SchemaVersion.objects.get(version=2).compatibility_group == 2


def test_one_refusal_undoes_the_whole_file() -> None:
    document = declaration()
    document["streams"].append({"name": "shop.other", "owner": "nobody-here", "versions": []})
    plan = apply(document)
    assert [one.original for one in plan.refused] == ["shop.other"]
    assert "no team nobody-here" in plan.refused[0].refused
    assert (Stream.objects.count(), Team.objects.count(), Producer.objects.count()) == (0, 0, 0)


def test_a_declaration_is_taken_at_its_word() -> None:
    for facts, why in (
        ({"retention_days": 0}, "retention_days"),
        ({"domain": "checkout"}, "first part"),
        ({"tags": ["No Slug"]}, "lower case"),
    ):
        plan = apply(declaration(**facts))
        assert why in plan.refused[0].refused
    personal = {
        **FIRST,
        "properties": {"refund_id": {"type": "string", "x-classification": "personal"}},
    }
    plan = apply(declaration({"schema": personal}, classification="public"))
    assert "lower than that of a field" in plan.refused[0].refused


def test_producers_and_consumers_are_added_to_and_never_taken_away() -> None:
    apply(declaration())
    producer, other = Producer.objects.get(), make_stream("shop.other")
    producer.permitted.create(stream=other)
    assert not apply(declaration()).has_work
    assert producer.permitted.count() == 2


def test_only_who_may_is_obeyed() -> None:
    team = make_team()
    engineer = make_actor(Role.ENGINEER, team=team)
    plan = apply(declaration(), actor=engineer)
    assert {one.kind for one in plan.refused} >= {"team", "domain"}
    assert "Admins make teams." in plan.refused[0].refused
    own = {
        "apiVersion": "portal/v1",
        "streams": [
            {"name": "shop.mine", "owner": team.slug, "versions": [{"schema": FIRST}]},
        ],
    }
    assert apply(own, actor=engineer).is_applied
    stranger = make_actor(Role.ENGINEER, team=make_team())
    own["streams"] = [{"name": "shop.mine", "title": "Stolen"}]
    assert "permission edit" in apply(own, actor=stranger).refused[0].refused
    assert Stream.objects.get().title == ""


def test_what_is_exported_makes_the_same_catalog_elsewhere() -> None:
    team = make_team()
    import_stream(
        outside("Shop/RefundIssued", FIRST, BREAKING, tags=("money",), retention_days=9),
        actor=SYSTEM,
    )
    stream = make_stream("shop.order_paid", team=team, extra={"enforcement": "warn"})
    create_producer("till", actor=SYSTEM, streams=[stream], globs=["shop.*"], sources=["/till"])
    reader = create_consumer("books", actor=SYSTEM, kind="warehouse", team=team)
    map_consumer(reader, stream, actor=SYSTEM, fields=["order_id"], purpose="To book.")
    before = portal_yaml.write(declared(SYSTEM, living_streams(SYSTEM)))
    assert "compatibility_group: new" in before
    assert "enforcement: warn" in before
    for model in (Consumer, Producer, Stream, Domain, Team, Group):
        model._default_manager.all().delete()
    plan = apply_file(portal_yaml.read(before, where="all"), actor=SYSTEM)
    assert (plan.refused, plan.is_applied) == ((), True)
    assert portal_yaml.write(declared(SYSTEM, living_streams(SYSTEM))) == before


def test_the_command_shows_the_plan_and_exits_with_one_when_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "portal.yaml"
    path.write_text(text_of(declaration()))
    call_command("apply", str(path), "--dry-run")
    shown = capsys.readouterr().out
    assert "+ stream shop.refund_issued" in shown
    assert shown.splitlines()[-1] == "Plan: 5 to add, 0 to change, 0 to remove."
    assert Stream.objects.count() == 0
    call_command("apply", str(path))
    assert "Applied: 5 added" in capsys.readouterr().out
    call_command("apply", str(path), "--json")
    (found,) = json.loads(capsys.readouterr().out)["files"]
    assert (found["unchanged"], found["add"], found["applied"]) == (5, 0, True)
    assert found["summary"].startswith("Nothing to do")
    path.write_text(text_of(declaration({"schema": BREAKING})))
    with pytest.raises(SystemExit) as caught:
        call_command("apply", str(path))
    assert caught.value.code == 1
    assert "Nothing was applied." in capsys.readouterr().out


def test_a_later_file_of_a_dry_run_may_build_on_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = declaration()
    teams = {"apiVersion": "portal/v1", "teams": document.pop("teams")}
    for name, part in (("1.yaml", teams), ("2.yaml", document)):
        (tmp_path / name).write_text(text_of(part))
    call_command("apply", str(tmp_path / "1.yaml"), str(tmp_path / "2.yaml"), "--dry-run")
    assert "refused" not in capsys.readouterr().out
    assert Team.objects.count() == 0


def test_the_command_names_a_file_it_cannot_read_and_the_place_of_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match=r"missing\.yaml cannot be read"):
        call_command("apply", str(tmp_path / "missing.yaml"))
    path = tmp_path / "odd.yaml"
    path.write_text("apiVersion: portal/v1\nstreams:\n- name: a.b\n  tire: T1\n")
    with pytest.raises(SystemExit):
        call_command("apply", str(path))
    assert "odd.yaml#/streams/0/tire" in capsys.readouterr().out


def policy_file(**stated: Any) -> dict[str, Any]:
    return {
        "apiVersion": "portal/v1",
        "policies": [
            {
                "slug": "titled",
                "title": "Streams have a title",
                "sentence": "Whoever lists streams reads a name.",
                "subject": "stream",
                "expression": 'stream.title != ""',
                **stated,
            }
        ],
    }


def test_policies_are_declared_changed_and_left_alone_when_they_are_the_same() -> None:
    assert apply(policy_file()).summary() == "Applied: 1 added, 0 changed, 0 removed."
    assert apply(policy_file()).has_work is False
    plan = apply(policy_file(severity="block"))
    assert "~ policy titled" in said(plan)
    assert "severity: warn → block" in said(plan)
    policy = Policy.objects.get(slug="titled")
    assert (policy.version, policy.severity) == (2, "block")
    assert policy.versions.get(version=2).note == "Applied from a file."


def test_a_policy_of_a_file_holds_for_its_streams_and_a_bad_one_refuses_the_file() -> None:
    both = {**declaration(), "policies": policy_file(severity="block")["policies"]}
    assert "Streams have a title" in apply(both).refused[0].why
    assert not Stream.objects.exists()
    assert not Policy.objects.filter(slug="titled").exists()
    bad = apply(policy_file(expression="stream.owmer"))
    assert "owmer" in bad.refused[0].why
    needs = apply({"apiVersion": "portal/v1", "kind": "Policy", "slug": "bare"})
    assert "needs title, sentence, subject, expression" in needs.refused[0].why


def test_a_built_in_policy_is_made_stricter_by_a_file_of_two_lines() -> None:
    stricter = {"apiVersion": "portal/v1", "kind": "Policy", "slug": "described"}
    assert apply({**stricter, "severity": "block"}).has_work
    assert Policy.objects.get(slug="described").severity == "block"


def test_only_admins_declare_policies() -> None:
    ben = make_actor(Role.ENGINEER, team=make_team())
    assert apply(policy_file(), actor=ben).refused
    assert not Policy.objects.filter(slug="titled").exists()


def test_policies_taken_out_as_yaml_come_in_again_unchanged() -> None:
    apply(policy_file(remedy="Give it a title."))
    text = exports.export_policies().content
    found = portal_yaml.read(text, where="policies.yaml")
    assert {"titled", "owner-present"} <= {one.slug for one in found.policies}
    assert apply_file(found, actor=SYSTEM).has_work is False
    Policy.objects.filter(slug="titled").delete()
    assert said(apply_file(found, actor=SYSTEM)).count("+ policy") == 1
