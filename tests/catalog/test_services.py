from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from catalog.models import SchemaField, Stream
from catalog.selectors.streams import get_stream
from catalog.services.changes import publish_schema
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.endings import deprecate_stream
from catalog.services.producers import create_producer, create_producer_key
from catalog.services.streams import (
    NewStream,
    change_stream,
    register_stream,
)
from catalog.services.tracks import promote_stream
from governance.models import AuditEntry
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
    PreconditionFailedError,
)
from tests.support.factories import ORDER_SCHEMA, make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db


def test_registering_makes_an_active_stream_with_version_one_and_an_audit_row() -> None:
    team = make_team()
    actor = make_actor(Role.ENGINEER, team=team)
    stream = register_stream(
        NewStream(name="shop.order_paid", document=ORDER_SCHEMA, owner_team=team, tags=("money",)),
        actor=actor,
    )
    assert (stream.lifecycle, stream.track, stream.default_version) == ("active", "experimental", 1)
    assert stream.classification == "personal"  # as sensitive as its most sensitive field
    assert AuditEntry.objects.filter(action="stream.registered", object_key=stream.name).exists()


def test_only_engineers_and_admins_register_and_only_for_their_teams() -> None:
    with pytest.raises(NotPermittedError):
        register_stream(NewStream("shop.paid", ORDER_SCHEMA), actor=make_actor(Role.ANALYST))
    with pytest.raises(NotPermittedError):
        register_stream(
            NewStream("shop.paid", ORDER_SCHEMA, owner_team=make_team()),
            actor=make_actor(Role.ENGINEER),
        )


def test_a_name_or_alias_is_taken_once() -> None:
    make_stream("shop.order_paid", aliases=("Order Paid",))
    for name in ("shop.order_paid",):
        with pytest.raises(ConflictError):
            make_stream(name)
    with pytest.raises(ConflictError):
        make_stream("shop.other", aliases=("Order Paid",))


def test_a_new_version_becomes_the_default_and_an_equal_one_changes_nothing() -> None:
    stream = make_stream()
    wider = {
        **ORDER_SCHEMA,
        "properties": {**ORDER_SCHEMA["properties"], "note": {"type": "string"}},
    }
    version, is_new = publish_schema(stream, wider, actor=SYSTEM)
    assert (version.version, is_new, stream.default_version) == (2, True, 2)
    assert publish_schema(stream, wider, actor=SYSTEM) == (version, False)
    assert SchemaField.objects.filter(stream=stream, is_current=True, path="note").exists()
    assert not SchemaField.objects.filter(stream=stream, is_current=True, schema_version__version=1)


def test_a_published_version_cannot_be_altered_even_in_the_database() -> None:
    stream = make_stream()
    with pytest.raises(DatabaseError), transaction.atomic():
        stream.versions.update(document={"type": "object"})


def test_a_stale_revision_changes_nothing() -> None:
    stream = make_stream()
    revision = stream.revision
    change_stream(stream, {"title": "One"}, actor=SYSTEM, revision=revision)
    with pytest.raises(PreconditionFailedError):
        change_stream(stream, {"title": "Two"}, actor=SYSTEM, revision=revision)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"tier": "T9"}, "/tier"),
        ({"name": "a.b"}, "/name"),
        ({"retention_days": 0}, "/retention_days"),
        ({"retention_days": True}, "/retention_days"),
        ({"restricted": "yes"}, "/restricted"),
        ({"description": 5}, "/description"),
    ],
)
def test_changes_that_break_a_rule_name_their_field(
    changes: dict[str, object], pointer: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        change_stream(make_stream(), changes, actor=SYSTEM)
    assert caught.value.errors[0].pointer == pointer


def test_a_stranger_changes_nothing() -> None:
    stream = make_stream(team=make_team())
    stranger = make_actor(Role.ENGINEER)
    with pytest.raises(NotPermittedError):
        change_stream(stream, {"title": "x"}, actor=stranger)
    with pytest.raises(NotPermittedError):
        publish_schema(stream, ORDER_SCHEMA, actor=stranger)
    with pytest.raises(NotPermittedError):
        change_stream(stream, {"tags": ["x"]}, actor=stranger)


def test_missing_and_forbidden_look_alike() -> None:
    make_stream("hidden.thing", team=make_team(), extra={"restricted": True})
    for name in ("hidden.thing", "hidden.nothing", "", "a\0b", "x" * 500):
        with pytest.raises(NotFoundError):
            get_stream(make_actor(), name)


def test_an_alias_is_taken_wherever_the_name_is() -> None:
    stream = make_stream("shop.order_paid", aliases=("shop/order-paid",))
    assert get_stream(make_actor(), "shop/order-paid") == stream


def test_a_stream_is_promoted_and_deprecated_once() -> None:
    stream = make_stream()
    promote_stream(stream, actor=SYSTEM)
    assert stream.track == "production"
    with pytest.raises(InvalidStateError):
        promote_stream(stream, actor=SYSTEM)
    ahead = clock.now() + timedelta(days=365)
    deprecate_stream(stream, actor=SYSTEM, sunset_at=ahead)
    with pytest.raises(InvalidStateError):
        deprecate_stream(stream, actor=SYSTEM, sunset_at=ahead)


def test_a_producer_may_publish_only_where_its_maker_may() -> None:
    team = make_team()
    engineer = make_actor(Role.ENGINEER, team=team)
    mine, other = make_stream(team=team), make_stream(team=make_team())
    with pytest.raises(NotPermittedError):
        create_producer("sender", actor=engineer, team=team, streams=[other])
    with pytest.raises(NotPermittedError):
        create_producer("sender", actor=engineer, team=team, globs=["*"])
    producer = create_producer("sender", actor=engineer, team=team, streams=[mine])
    _, text = create_producer_key(producer, actor=engineer)
    assert text.startswith("ep_prod_")
    with pytest.raises(NotPermittedError):
        create_producer_key(producer, actor=make_actor(Role.ENGINEER))


def test_a_consumer_declares_fields_that_exist() -> None:
    team = make_team()
    engineer = make_actor(Role.ENGINEER, team=team)
    stream = make_stream()
    consumer = create_consumer("reader", actor=engineer, team=team)
    mapping = map_consumer(consumer, stream, actor=engineer, fields=["order_id"])
    assert mapping.fields == ["order_id"]
    with pytest.raises(InvalidError) as caught:
        map_consumer(consumer, stream, actor=engineer, fields=["order_id", "nope"])
    assert caught.value.errors[0].pointer == "/fields/1"


def test_names_are_stored_in_byte_order() -> None:
    make_stream("zeta.a")
    make_stream("alpha.b")
    assert list(Stream.objects.order_by("name").values_list("name", flat=True)) == [
        "alpha.b",
        "zeta.a",
    ]
