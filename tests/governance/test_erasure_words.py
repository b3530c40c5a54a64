"""What people wrote before an erasure goes, however often its row was touched since; its shape stays."""

from datetime import timedelta
from typing import Any

import pytest

from catalog.erasing import DRAFTS
from catalog.models import Draft, DraftKind
from catalog.services.drafts import change_draft, create_draft, share_draft
from governance.erasure_stores import WORDS
from governance.models import Job, Notice, SavedView
from governance.services.jobs import start_job, stop_job
from governance.types import NoticeKind, ResourceRef, Role
from portal.kernel import clock
from portal.kernel.actor import Actor
from tests.support.erasing import MAIL, Guestbook, approved, run_to_the_end
from tests.support.factories import make_person
from tests.support.walking import collected, sought_of, walk

pytestmark = pytest.mark.django_db
WAYS = pytest.mark.parametrize("in_clear", [True, False], ids=["in clear", "by marks"])


def draft_of(actor: Actor) -> Draft:
    return create_draft(
        DraftKind.REGISTRATION, actor=actor, content={"name": "shop.refund", "sample": MAIL},
        page={"samples": [{"mail": MAIL}]},
    )  # fmt: skip


def test_a_draft_that_is_shared_or_renamed_after_the_approval_still_loses_the_value(
    ada: Actor,
) -> None:
    drafts = [draft_of(ada), draft_of(ada)]
    approval = clock.now()
    with clock.at(approval + timedelta(minutes=1)):
        share_draft(drafts[0], actor=ada, users=[make_person(Role.ENGINEER)])
        change_draft(drafts[1], actor=ada, title="Another title")
    walk(DRAFTS, sought_of(MAIL, at=approval))
    for draft in drafts:
        draft.refresh_from_db()
        assert (draft.content, draft.page) == ({"name": "shop.refund"}, {"samples": [{}]})
    assert drafts[1].title == "Another title"


def test_a_draft_that_was_begun_afterwards_stays(ada: Actor) -> None:
    approval = clock.now()
    with clock.at(approval + timedelta(minutes=1)):
        draft = draft_of(ada)
    assert walk(DRAFTS, sought_of(MAIL, at=approval)).cleared == 0
    draft.refresh_from_db()
    assert draft.content["sample"] == MAIL


@pytest.mark.django_db(transaction=True)
def test_drafts_touched_between_approval_and_job_are_cleared_by_the_job(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    draft = draft_of(ada)
    row = approved(ada, ben)
    change_draft(draft, actor=ada, title="Another title")
    share_draft(draft, actor=ada, users=[make_person(Role.ENGINEER)])
    assert run_to_the_end(row).state == "done"
    draft.refresh_from_db()
    assert MAIL not in f"{draft.content} {draft.page}"


def test_work_that_ends_after_the_approval_says_no_name_any_more(ada: Actor) -> None:
    job = start_job("tests.said", ResourceRef("thing", "1"), actor=ada, title="Says a name",
                    cursor={"at": MAIL, "n": 1})  # fmt: skip
    Job.objects.filter(pk=job.pk).update(said=MAIL)
    approval = clock.now()
    assert walk(WORDS, sought_of(MAIL, at=approval)).cleared == 0, "what runs needs its cursor"
    with clock.at(approval + timedelta(minutes=1)):
        stop_job(job, actor=ada)
    walk(WORDS, sought_of(MAIL, at=approval))
    job.refresh_from_db()
    assert (job.said, job.cursor) == ("erased", {"at": "erased", "n": 1})


def views(owner: int, *names: str) -> list[SavedView]:
    return [
        SavedView.objects.create(owner_id=owner, kind="audit", name=name, asked={"object": MAIL})
        for name in names
    ]


@WAYS
def test_a_question_changed_since_is_cleared_and_two_names_do_not_meet(
    ada: Actor, *, in_clear: bool
) -> None:
    found = views(ada.id, MAIL, f" {MAIL.upper()}")
    approval = clock.now()
    SavedView.objects.update(updated_at=approval + timedelta(minutes=1))
    walk(WORDS, sought_of(MAIL, at=approval, in_clear=in_clear))
    assert set(SavedView.objects.values_list("name", flat=True)) == {
        f"erased {one.pk}" for one in found
    }
    assert all(view.asked == {"object": "erased"} for view in SavedView.objects.all())


def test_text_that_looks_like_json_stays_text(ada: Actor) -> None:
    for number, title in enumerate(("48213", "{}", '"quoted"')):
        Notice.objects.create(
            user_id=ada.id, kind=NoticeKind.ERASURE, subject_kind="thing", subject_key="1",
            title=title, dedupe=f"t{number}", sentence='{"n": 1.10}',
        )  # fmt: skip
    assert walk(WORDS, sought_of("48213")).cleared == 1
    said = Notice.objects.order_by("dedupe").values_list("title", "sentence")
    assert [title for title, _ in said] == ["erased", "{}", '"quoted"']
    assert {sentence for _, sentence in said} == {'{"n": 1.10}'}


def test_the_person_is_told_where_they_are_named_and_nothing_that_stands_beside(
    ada: Actor,
) -> None:
    (view,) = views(ada.id, "hers")
    SavedView.objects.update(asked={"object": MAIL, "actor": "cy@shop.example"})
    (item,) = collected(WORDS, sought_of(MAIL))
    assert item == {"about": False, "table": "governance_savedview", "row": str(view.pk),
                    "places": ["/object"]}  # fmt: skip


def test_a_walk_that_an_update_cut_begins_anew(ada: Actor) -> None:
    views(ada.id, "hers")
    before: Any = {"table": "governance_notice", "after": "999999"}
    assert WORDS.erase(sought_of(MAIL), before).cleared == 1
