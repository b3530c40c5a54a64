"""`manage.py load`: synthetic events made from contracts, sent through the door of a portal."""

import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from catalog.models import Stream
from catalog.selectors.streams import get_stream
from governance.services.keys import revoke_key
from ingest.services.synthetic import Run, Streams, Wanted, plans_for, publisher_key
from ingest.synthetic.curves import CURVES, FLAT, LEARNED, read_incident, read_span
from ingest.synthetic.joining import MAX_STREAMS
from ingest.synthetic.kinds import check_rule, check_shares
from ingest.synthetic.making import Maker
from ingest.synthetic.several import joined_fields, makers_of, positions_after
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand
from portal.kernel.errors import InvalidError


class Command(PortalCommand):
    help = (
        "Send synthetic events of streams: valid ones, broken ones, incidents. Several streams share "
        "subjects and the fields that join them. The same seed, start and streams give the same "
        "events. Ctrl-C ends with a summary that says how to go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--stream", action="append", default=[], metavar="NAME[=SHARE]",
            help="again for more streams; a share (40%%, 0.4) is of the first one's events",
        )  # fmt: skip
        parser.add_argument("--rate", default="10", help="events a second of a stream: 50, 50/s")
        parser.add_argument("--events", type=int, help="so many of a stream")
        parser.add_argument("--for", dest="lasts", default="", help="10m, 2h: how long")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--broken", default="0", metavar="SHARE|KIND=SHARE,…",
            help="the share that is broken, 2%% or 0.02; or one for each kind, by commas",
        )  # fmt: skip
        parser.add_argument("--rules", default="schema_violation", help="what breaks, by commas")
        parser.add_argument("--incident", action="append", default=[], metavar="KIND@AT+FOR")
        parser.add_argument("--from", dest="since", default="", help="the first time (RFC 3339)")
        parser.add_argument("--to", dest="until", default="", help="the last; past ones go at once")
        parser.add_argument("--position", type=int, default=0, help="go on from here")
        parser.add_argument("--curve", choices=CURVES, default=LEARNED, help="of day and week")
        parser.add_argument("--flat", action="store_true", help="the same as --curve flat")
        parser.add_argument("--by-schema", action="store_true", help="learn nothing from events")
        parser.add_argument("--production", action="store_true", help="production streams too")
        parser.add_argument("--dry-run", action="store_true", help="print the events, send none")
        parser.add_argument("--url", default="", help="the portal's address, if not the one here")
        parser.add_argument("--key", default="", help="a producer key, if not one of its own")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["stream"]:
            raise CommandError("Name a stream: load --stream checkout.order_placed")
        streams = _streams(options["stream"])
        wanted = _wanted(options)
        makers = makers_of(plans_for(streams, wanted, actor=SYSTEM))
        if options["dry_run"]:
            self._print(Run(makers, positions=positions_after(makers, options["position"])))
            return
        self._send(makers, streams, wanted, options)

    def _print(self, run: Run) -> None:
        for _, maker, place in run.places():
            for made in maker.events(place):
                self.stdout.write(made.line.decode().rstrip("\n"))

    def _send(
        self, makers: list[Maker], streams: Streams, wanted: Wanted, options: dict[str, Any]
    ) -> None:
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for each batch says nothing
        if options["key"]:
            key, text = None, options["key"]
        else:
            key, text = publisher_key([stream for stream, _ in streams])
        is_past = wanted.end <= clock.now()
        rate = _rate(options["rate"]) * sum(ratio for _, ratio in streams)
        run = Run(
            makers, options["url"] or settings.PUBLIC_URL, text,
            positions_after(makers, options["position"]),
            rate=None if is_past and options["rate"] == "10" else rate,
        )  # fmt: skip
        told = [time.monotonic()]

        def tell(run: Run) -> None:
            if time.monotonic() - told[0] >= 1 or run.position == run.total:
                told[0] = time.monotonic()
                print(f"{run.position} of {run.total}", file=sys.stderr)

        is_whole = True
        try:
            run.send(tell=tell)
        except KeyboardInterrupt:
            is_whole = False
        finally:
            if key is not None:
                revoke_key(key.pk, actor=SYSTEM)
        self._say(run, wanted, is_whole=is_whole, is_json=options["json"])

    def _say(self, run: Run, wanted: Wanted, *, is_whole: bool, is_json: bool) -> None:
        start = wanted.start.isoformat().replace("+00:00", "Z")
        end = wanted.end.isoformat().replace("+00:00", "Z")
        joins = joined_fields(run.makers)
        result = {
            "seed": wanted.seed, "from": start, "to": end, "position": run.position,
            "total": run.total, "sent": run.sent, "waited": run.waited, "finished": is_whole,
            "joins": joins, "outcome": run.rows(), "misses": run.misses,
        }  # fmt: skip
        if is_json:
            self.say_json(result)
        else:
            self.stdout.write(f"{run.sent} sent, {run.position} of {run.total} places")
            if len(run.makers) > 1:
                self.stdout.write(f"The streams join by {', '.join(['subject', *joins])}")
            for row in run.rows():
                of = f"{row['stream']}, " if len(run.makers) > 1 else ""
                self.stdout.write(
                    f"{row['events']:>9}  {of}{row['rule'] or 'valid'}: expected "
                    f"{row['expected']}, seen {row['seen']}"
                )
            if not is_whole:
                self.stdout.write(
                    f"Go on with --seed {wanted.seed} --from {start} --to {end} "
                    f"--position {run.position} and the same other words."
                )
        if run.misses:
            sys.exit(1)  # the door answered otherwise than was expected


def _streams(said: list[str]) -> Streams:
    """Each named stream once, with its share of the first one's events."""
    found: dict[str, tuple[Stream, float]] = {}
    for text in said:
        name, _, share = text.partition("=")
        ratio = _ratio(share) if share else 1.0
        found.setdefault(name, (get_stream(SYSTEM, name), ratio if found else 1.0))
    if len(found) > MAX_STREAMS:
        raise CommandError(f"A run has {MAX_STREAMS} streams at most.")
    return list(found.values())


def _shares(text: str) -> dict[str, float]:
    """`late=3%,wrong_type=0.02`."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    return check_shares({name: _share(share) for name, _, share in pairs})


def _wanted(options: dict[str, Any]) -> Wanted:
    events, rate = options["events"], _rate(options["rate"])
    if events is not None and events < 1:
        raise CommandError("--events is 1 at least.")
    start = _moment(options["since"]) if options["since"] else clock.now()
    if options["until"]:
        end = _moment(options["until"])
    elif options["lasts"]:
        end = start + read_span(options["lasts"])
    else:
        end = start + timedelta(seconds=(events or 100) / rate)
    if end <= start:
        raise CommandError("--to lies after --from.")
    return Wanted(
        start=start,
        end=end,
        seed=options["seed"],
        events=events if events or options["lasts"] or options["until"] else 100,
        rate=rate,
        broken_ratio=0.0 if "=" in options["broken"] else _share(options["broken"]),
        rules=tuple(check_rule(rule) for rule in options["rules"].split(",")),
        shares=_shares(options["broken"]) if "=" in options["broken"] else {},
        incidents=tuple(read_incident(one) for one in options["incident"]),
        curve=FLAT if options["flat"] else options["curve"],
        learns=not options["by_schema"],
        production=options["production"],
    )


def _moment(text: str) -> datetime:
    try:
        return rfc3339.parse(text).astimezone(UTC)
    except ValueError as error:
        raise InvalidError(f"{text[:40]} is no time; say 2026-11-26T10:00:00Z.") from error


def _rate(text: str) -> float:
    return _number(text.removesuffix("/s"), "a rate; say 50 or 50/s", 0.001, 1_000_000)


def _share(text: str) -> float:
    if text.endswith("%"):
        return _number(text[:-1], "a share; say 2% or 0.02", 0, 100) / 100
    return _number(text, "a share; say 2% or 0.02", 0, 1)


def _ratio(text: str) -> float:
    if text.endswith("%"):
        return _number(text[:-1], "a share; say 40% or 0.4", 0.01, 10_000) / 100
    return _number(text, "a share; say 40% or 0.4", 0.0001, 100)


def _number(text: str, what: str, least: float, most: float) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not least <= found <= most:
        raise InvalidError(f"{text[:40]} is no {what.removeprefix('a ')}.")
    return found
