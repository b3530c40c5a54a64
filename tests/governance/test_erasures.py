"""Asking for the erasure of a person, and deciding on it: two admins, once, and nobody is named."""

import json
import threading

import pytest
from django.db import connections, transaction

from governance.errors import NotOwnRequestError
from governance.models import (
    Erasure,
    ErasureState,
    Job,
    Notice,
    PrivacyKey,
    Tombstone,
)
from governance.privacy import whom
from governance.selectors import erasures as selectors
from governance.services import erasures as services
from governance.types import Role
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
    PreconditionFailedError,
)
from tests.support.canaries import search
from tests.support.erasing import (
    MAIL,
    WHY,
    Guestbook,
    asked,
    run_to_the_end,
)
from tests.support.factories import make_actor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("ledger"),
]


def test_nobody_but_admins_asks_or_knows_of_it(ada: Actor) -> None:
    row = asked(ada)
    for role in (Role.ENGINEER, Role.ANALYST, Role.ON_CALL, Role.PRODUCT_MANAGER):
        cy = make_actor(role)
        with pytest.raises(NotPermittedError):
            asked(cy)
        with pytest.raises(NotPermittedError):
            services.approve_erasure(row.pk, actor=cy)
        with pytest.raises(NotFoundError):
            selectors.get_erasure(cy, row.pk)
    assert selectors.waiting(ada).count() == 1


def test_nobody_decides_on_what_they_asked_for_themselves(ada: Actor, ben: Actor) -> None:
    row = asked(ada)
    for act in (services.approve_erasure, services.deny_erasure):
        with pytest.raises(NotOwnRequestError):
            act(row.pk, actor=ada, note="I know it is right.")
    with pytest.raises(NotOwnRequestError):
        services.withdraw_erasure(row.pk, actor=ben)
    assert not Tombstone.objects.exists()
    assert services.approve_erasure(row.pk, actor=ben).state == ErasureState.RUNNING


def test_the_database_refuses_a_decision_of_ones_own(ada: Actor) -> None:
    row = asked(ada)
    with pytest.raises(Exception, match="erasure_not_own"), transaction.atomic():
        Erasure.objects.filter(pk=row.pk).update(state="denied", sealed="", decided_by_user=ada.id)


def test_of_two_decisions_the_second_finds_it_decided(ada: Actor, ben: Actor) -> None:
    row = asked(ada)
    with pytest.raises(PreconditionFailedError):
        services.approve_erasure(row.pk, actor=ben, revision=row.revision + 1)
    services.deny_erasure(row.pk, actor=ben, note="A legal hold.", revision=row.revision)
    for act in (services.approve_erasure, services.deny_erasure):
        with pytest.raises(InvalidStateError):
            act(row.pk, actor=make_actor(Role.ADMIN), note="Or not.")
    assert not Job.objects.filter(kind="erasure").exists()


def test_two_admins_who_approve_at_once_start_one_job(ada: Actor) -> None:
    row = asked(ada)
    outcomes: list[str] = []

    def approve(actor: Actor) -> None:
        try:
            services.approve_erasure(row.pk, actor=actor)
            outcomes.append("approved")
        except InvalidStateError:
            outcomes.append("late")
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=approve, args=(make_actor(Role.ADMIN),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "late", "late", "late"]
    assert Job.objects.filter(kind="erasure").count() == 1


@pytest.mark.parametrize(
    ("identifiers", "pointer", "code"),
    [
        ([], "/identifiers", "required"),
        (["ab"], "/identifiers/0", "too_short"),
        (["fine@zebra.example", "  "], "/identifiers/1", "too_short"),
        (["x" * 513], "/identifiers/0", "too_long"),
        (["nul\0byte"], "/identifiers/0", "value"),
        ([f"person-{n}" for n in range(101)], "/identifiers", "too_many"),
    ],
)
def test_an_odd_identifier_is_refused_at_its_place_and_not_repeated(
    ada: Actor, identifiers: list[str], pointer: str, code: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        services.request_erasure(identifiers, actor=ada, basis="objection", reason=WHY)
    found = [(one.pointer, one.code) for one in refused.value.errors]
    assert (pointer, code) in found
    assert not any(
        text.strip() in str(refused.value.errors) for text in identifiers if text.strip()
    )


def test_what_is_said_of_it_must_not_name_the_person(ada: Actor, ben: Actor) -> None:
    with pytest.raises(InvalidError) as refused:
        services.request_erasure(
            [MAIL], actor=ada, basis="objection", reason=f"{MAIL.lower()} asked for it"
        )
    assert [(one.pointer, one.code) for one in refused.value.errors] == [
        ("/reason", "names_person")
    ]
    row = asked(ada, MAIL)
    with pytest.raises(InvalidError):
        services.deny_erasure(row.pk, actor=ben, note=f"{MAIL} is our customer")
    with pytest.raises(InvalidError):
        services.deny_erasure(row.pk, actor=ben, note=" ")


def test_what_is_taken_back_or_declined_knows_nobody_any_more(ada: Actor, ben: Actor) -> None:
    mine, declined = asked(ada), asked(ada)
    assert Erasure.objects.get(pk=mine.pk).sealed.startswith("enc_")
    services.withdraw_erasure(mine.pk, actor=ada)
    services.deny_erasure(declined.pk, actor=ben, note="A legal hold.")
    assert list(Erasure.objects.values_list("sealed", flat=True)) == ["", ""]
    refs = [whom.sealing_ref(row.pk) for row in (mine, declined)]
    assert not PrivacyKey.objects.filter(ref__in=refs).exists()


def test_other_admins_are_told_that_it_waits_and_who_asked_how_it_ended(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    row = asked(ada)
    assert list(Notice.objects.values_list("user_id", flat=True)) == [ben.id]
    run_to_the_end(services.approve_erasure(row.pk, actor=ben))
    titles = list(Notice.objects.filter(user_id=ada.id).values_list("title", flat=True))
    assert len(titles) == 2
    assert (
        search([("notices", json.dumps(list(Notice.objects.values()), default=str))], [MAIL]) == []
    )
