"""The import of files of any format: contracts into the catalog, their example events through ingest."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from catalog.exchange.documents import OutsideStream, Unreadable, example_id
from catalog.exchange.files import read_paths
from catalog.exchange.plans import Action
from catalog.models import Producer
from catalog.services.imports import Imported, import_stream
from catalog.services.producers import create_producer
from ingest.judging.admission import directory, publisher_of
from ingest.judging.pipeline import accept_events
from portal.kernel.actor import Actor
from portal.kernel.errors import PortalError, sentence

PRODUCER: Final = "import"
BATCH: Final = 200


@dataclass(slots=True)
class Counts:
    """What an import did. `refused` names each line, file or event that was not taken, and why;
    `left_out` what a stream's file states and does not fit here."""

    streams_new: int = 0
    streams_known: int = 0
    streams_changed: int = 0
    versions_new: int = 0
    versions_known: int = 0
    events_accepted: int = 0
    events_duplicate: int = 0
    events_dead_lettered: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def import_paths(
    paths: Iterable[Path],
    *,
    actor: Actor,
    domain: str,
    with_events: bool,
    tell: Callable[[str], None],
) -> Counts:
    """Take everything in that the paths hold; progress is told stream by stream."""
    counts = Counts()
    events: list[dict[str, Any]] = []
    for number, found in enumerate(read_paths(paths), start=1):
        if isinstance(found, Unreadable):
            counts.refused.append({"where": found.where, "why": found.why})
            continue
        try:
            taken = import_stream(found, actor=actor, domain=domain)
        except PortalError as error:
            counts.refused.append({"where": found.where, "why": sentence(error)})
            continue
        _count(counts, found, taken)
        events += _events_of(found, taken)
        if number % 20 == 0:
            tell(f"{number} streams read, {counts.versions_new} new versions")
    if with_events:
        _send(events, actor, counts, tell)
    return counts


def _count(counts: Counts, found: OutsideStream, taken: Imported) -> None:
    counts.streams_new += taken.is_new
    counts.streams_known += not taken.is_new
    counts.streams_changed += taken.plan.action is Action.CHANGE
    counts.left_out += [{"where": found.where, "why": note} for note in taken.plan.notes]
    counts.versions_new += taken.new_versions
    counts.versions_known += len(found.versions) - taken.new_versions


def _events_of(found: OutsideStream, taken: Imported) -> Iterator[dict[str, Any]]:
    """The examples as events: no time, so that sent again they are duplicates by id."""
    for version, number in zip(found.versions, taken.versions, strict=True):
        for place, example in enumerate(version.examples, start=1):
            yield {
                "specversion": "1.0",
                "id": example_id(taken.stream.name, number, place),
                "source": f"/import/{PRODUCER}",
                "type": taken.stream.name,
                "dataschema": str(number),
                "datacontenttype": "application/json",
                "data": example,
            }


def _send(
    events: list[dict[str, Any]], actor: Actor, counts: Counts, tell: Callable[[str], None]
) -> None:
    producer = Producer.objects.filter(name=PRODUCER).first() or create_producer(
        PRODUCER, actor=actor, title="Import", description="Example events of imported contracts"
    )
    publisher = publisher_of(producer)
    directory.forget()
    waiting = iter(events)
    done = 0
    while batch := list(islice(waiting, BATCH)):
        answer = accept_events(batch, publisher=publisher)
        counts.events_accepted += answer["accepted"]
        counts.events_duplicate += answer["duplicate"]
        counts.events_dead_lettered += answer["dead_lettered"]
        for result in answer["results"]:
            if result["status"] == "dead_lettered":
                why = result.get("reason", "")
                counts.refused.append({"where": result["id"], "why": why})
        done += len(batch)
        tell(f"{done} of {len(events)} events sent")
