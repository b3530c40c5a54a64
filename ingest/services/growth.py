"""The alarm on growth: a group of dead letters that fills faster than it used to.

Every minute: 1. the groups that got `LEAST` letters or more in the last ten minutes are found;
2. each is compared with what it usually gets in ten minutes, over the day before; `FACTOR` times that
is growth, and so is a group that is new; 3. its owners and on-call are told, once: the episode ends
when the group has not grown for half an hour.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from catalog.models import Producer, Stream
from catalog.services.telling import audience
from governance.models import User
from governance.services.notices import News, tell
from governance.types import NoticeKind, ResourceRef, Role
from ingest.models import LetterGroup
from ingest.privacy.marks import mark
from ingest.selectors.dead_letters import SENTENCES, lasting_address, version_of
from portal.http import words
from portal.kernel import clock, sql
from portal.kernel.actor import SYSTEM

WINDOW: Final = timedelta(minutes=10)
BEFORE: Final = timedelta(days=1)
CALM: Final = timedelta(minutes=30)
LEAST: Final = 50
FACTOR: Final = 4.0
_GROWING: Final = sql.load("ingest", "groups_that_grow")
_USUAL: Final = sql.load("ingest", "usual_of_groups")


@transaction.atomic
def watch_growth() -> int:
    """Begin and end episodes of growth, and tell of those that begin; gives how many began."""
    now = clock.now()
    since = now - WINDOW
    rows = sql.fetch_all(_GROWING, {"since": since, "least": LEAST})
    usual = _usual([row["group_key"] for row in rows], since)
    grown = [row for row in rows if row["letters"] >= FACTOR * usual.get(row["group_key"], 0.0)]
    keys = [row["group_key"] for row in grown]
    LetterGroup.objects.bulk_create(
        [LetterGroup(group_key=key) for key in sorted(keys)], ignore_conflicts=True
    )
    # In the order of the keys, so that two watchers wait for each other and tell once.
    held = {
        row.group_key: row
        for row in LetterGroup.objects.select_for_update()
        .filter(group_key__in=keys)
        .order_by("group_key")
    }
    began = [row for row in grown if held[row["group_key"]].growing_since is None]
    LetterGroup.objects.filter(pk__in=keys).update(grew_at=now)
    LetterGroup.objects.filter(pk__in=[row["group_key"] for row in began]).update(growing_since=now)
    LetterGroup.objects.filter(growing_since__isnull=False, grew_at__lt=now - CALM).update(
        growing_since=None
    )
    for row in began:
        _tell(row, usual.get(row["group_key"], 0.0), now)
    return len(began)


def _usual(keys: list[str], since: datetime) -> dict[str, float]:
    """Letters in ten minutes of the day before, or since the group began, if that is less."""
    if not keys:
        return {}
    rows = sql.fetch_all(_USUAL, {"keys": keys, "since": since - BEFORE, "until": since})
    found = {}
    for row in rows:
        spans = max((since - row["first_at"]) / WINDOW, 1.0)
        found[row["group_key"]] = row["letters"] / spans
    return found


def _tell(row: Mapping[str, Any], usual: float, now: datetime) -> None:
    stream = Stream.objects.filter(pk=row["stream_id"] or 0).select_related("domain").first()
    producer = Producer.objects.filter(pk=row["producer_id"]).values_list("name", flat=True).first()
    people = set(
        User.objects.filter(groups__name=Role.ON_CALL.value, is_active=True).values_list(
            "pk", flat=True
        )
    )
    if stream is not None:
        people |= audience(stream)
    name = stream.name if stream is not None else row["type"] or "no type"
    version = version_of(row["group_key"])
    sender = f"{producer or 'an unknown producer'}{f' {version}' if version else ''}"
    before = f"usually about {words.number(round(usual))}" if usual >= 1 else "none before"
    tell(
        people,
        News(
            NoticeKind.ALARM_RAISED,
            stream.ref if stream is not None else ResourceRef("dead_letters", row["type"][:200]),
            f"Dead letters of {name[:150]} grow",
            f"{words.plural(row['letters'], 'event')} of {sender} refused in ten minutes, {before}: "
            f"{SENTENCES.get(row['reason'], row['reason']).lower()}. Nothing is lost.",
            lasting_address(row["group_key"]),
            f"growth:{now:%Y%m%d%H%M%S%f}:{mark('group', row['group_key'])}",
        ),
        by=SYSTEM,
    )
