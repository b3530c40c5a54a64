"""Ids of schemas: given to all versions there are, one for each content."""

from importlib import import_module

import pytest
from django.apps import apps

from catalog.models import RegistrySchema, RegistryVersion, Stream
from portal.kernel.actor import SYSTEM
from tests.catalog.registry.conftest import ORDER, WIDER
from tests.support.factories import make_stream

pytestmark = pytest.mark.django_db


def test_versions_that_were_there_before_get_their_ids() -> None:
    from catalog.services.schemas import add_version

    first, second = make_stream(schema=ORDER), make_stream(schema=ORDER)
    add_version(second, WIDER, actor=SYSTEM)
    RegistryVersion.objects.all().delete()
    RegistrySchema.objects.all().delete()
    import_module("catalog.migrations.0006_give_registry_ids").give_ids(apps, None)
    ids = [
        list(stream.versions.order_by("version").values_list("registry__schema_id", flat=True))
        for stream in (first, second)
    ]
    assert ids[0][0] == ids[1][0]
    assert len({*ids[0], *ids[1]}) == 2
    assert RegistrySchema.objects.count() == 2
    import_module("catalog.migrations.0006_give_registry_ids").give_ids(apps, None)
    assert RegistryVersion.objects.count() == 3


def test_a_version_that_is_only_proposed_has_no_id_yet() -> None:
    from catalog.services.changes import Proposal, propose_change

    stream = make_stream(schema=ORDER)
    propose_change(stream, Proposal(WIDER), actor=SYSTEM)
    assert RegistryVersion.objects.count() == 1
    assert Stream.objects.get().versions.count() == 2
