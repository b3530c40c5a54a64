"""Longer lives, approved: of a deprecated version and of a field that its contract ends."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import FieldExtension, SchemaField, Stream
from catalog.services import lifecycle
from catalog.services.changes import publish_schema
from governance.models import AuditEntry, Team
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import InvalidError, InvalidStateError, NotPermittedError
from tests.support.factories import (
    ORDER_SCHEMA,
    make_actor,
    make_grant,
    make_person,
    make_stream,
    make_team,
    token_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> Actor:
    return make_actor(Role.ENGINEER, team=team)


def ending(days: int = 5) -> dict[str, Any]:
    day = (clock.now() + timedelta(days=days)).date().isoformat()
    old = {"type": "string", "deprecated": True, "x-sunset": day}
    return {**ORDER_SCHEMA, "properties": {**ORDER_SCHEMA["properties"], "coupon": old}}


def deprecated(team: Team, days: int = 5) -> Stream:
    stream = make_stream(team=team)
    publish_schema(stream, ending(), actor=SYSTEM)
    lifecycle.deprecate_version(
        stream.versions.get(version=1), actor=SYSTEM, migration="Send 2.",
        sunset_at=clock.now() + timedelta(days=days),
    )  # fmt: skip
    return stream


def test_an_approved_extension_moves_the_sunset_and_the_job_waits_for_it(
    team: Team, ada: Actor
) -> None:
    stream = deprecated(team)
    version = stream.versions.get(version=1)
    assert version.sunset_at is not None
    first_day, later = version.sunset_at, version.sunset_at + timedelta(days=10)
    lifecycle.extend_version(version, actor=ada, sunset_at=later, reason="The TV app is late.")
    entry = AuditEntry.objects.get(action="schema.extended")
    assert (entry.actor, entry.detail["after"]["reason"]) == (ada.label, "The TV app is late.")
    with clock.at(first_day + timedelta(hours=1)):
        assert lifecycle.retire_due_versions() == 0
    with clock.at(later):
        assert lifecycle.retire_due_versions() == 1
        with pytest.raises(InvalidStateError):
            lifecycle.extend_version(
                version, actor=ada, sunset_at=later + timedelta(days=1), reason="Too late."
            )


def test_who_may_only_edit_extends_nothing_and_a_day_must_be_later(team: Team, ada: Actor) -> None:
    stream = deprecated(team)
    version = stream.versions.get(version=1)
    assert version.sunset_at is not None
    later = version.sunset_at + timedelta(days=1)
    editor = make_person(Role.ENGINEER)
    make_grant(stream, editor, Permission.EDIT)
    by_editor = Client().post(
        f"/api/v1/streams/{stream.name}/schemas/1/extend",
        {"sunset_at": later.isoformat(), "reason": "Please."},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token_of(editor, 'read', 'write', 'approve')}"},
    )
    assert by_editor.status_code == 403
    with pytest.raises(NotPermittedError):
        lifecycle.extend_field(
            stream, "coupon", actor=make_actor(Role.ENGINEER), until_on=later.date(), reason="x"
        )
    for day, reason, pointer in (
        (version.sunset_at, "Why.", "/sunset_at"), (later, "  ", "/reason"),
    ):  # fmt: skip
        with pytest.raises(InvalidError) as caught:
            lifecycle.extend_version(version, actor=ada, sunset_at=day, reason=reason)
        assert caught.value.errors[0].pointer == pointer


def test_the_index_knows_the_end_of_a_field_and_it_is_extended_over_rest(team: Team) -> None:
    stream = make_stream(team=team)
    publish_schema(stream, ending(5), actor=SYSTEM)
    row = SchemaField.objects.get(stream=stream, path="coupon", is_current=True)
    said = (clock.now() + timedelta(days=5)).date()
    assert (row.deprecated, row.sunset_on) == (True, said)
    token = token_of(make_person(Role.ENGINEER, team=team), "read", "write", "approve")
    headers = {"Authorization": f"Bearer {token}"}

    def extend(field: str, days: int) -> Any:
        until = (clock.now() + timedelta(days=days)).date().isoformat()
        return Client().post(
            f"/api/v1/streams/{stream.name}/field-extensions",
            {"field": field, "until": until, "reason": "The TV app is late."},
            content_type="application/json",
            headers=headers,
        )

    assert extend("order_id", 20).json()["errors"][0]["pointer"] == "/field"
    assert extend("coupon", 5).json()["errors"][0]["pointer"] == "/until"
    made = extend("coupon", 20)
    assert (made.status_code, made.json()["field"]) == (200, "coupon")
    assert extend("coupon", 10).status_code == 422, "earlier than what was approved"
    assert extend("coupon", 30).status_code == 200
    assert (
        FieldExtension.objects.get(stream=stream).until_on
        == (clock.now() + timedelta(days=30)).date()
    )
    listed = Client().get(f"/api/v1/streams/{stream.name}/field-extensions", headers=headers)
    assert [item["field"] for item in listed.json()["items"]] == ["coupon"]
    detail = Client().get(f"/api/v1/streams/{stream.name}/schemas/2", headers=headers).json()
    shown = {field["path"]: field for field in detail["fields"]}["coupon"]
    assert (shown["deprecated"], shown["sunset"]) == (True, said.isoformat())
