"""Where something of a person lies in experiments: units that were exposed, rules and filters.

1. A unit is a subject as its events had it. Its row goes when it is somebody who is sought and was first
   seen up to the erasure; so does one whose variant is a name of theirs, which no experiment has.
2. The next look counts without them: it is made anew of the exposures and of the log. Looks that were
   taken stand; they are sums by arm.
3. A merge that began before the log was erased may still bring a unit in. It holds its experiment, and so
   does a step here: what the walk after the one that erased the log finds is all there is.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from experiments.models import AnalysisSnapshot, Experiment, Exposure, Metric
from governance.erasing import Collected, Sought, Store, Swept
from governance.erasing_tables import BUDGET_SECONDS, ERASED, Column, Tables, about
from governance.whole_values import Names
from portal.kernel import sql

BATCH: Final = 2_000
_PAUSE_SECONDS: Final = 0.5
_WALK: Final = sql.load("experiments", "walk_exposures")
_ERASE: Final = sql.load("experiments", "erase_exposures")

Row = Mapping[str, Any]
# The experiment, and the epoch and unit that were looked at last.
_Place = tuple[int, int, str]


class Exposures:
    """Units by experiment. A cursor names the experiment and the last of its units."""

    key = "exposures"
    name = "Units of experiments"

    def size(self) -> int:
        """As the planner last counted."""
        return about(Exposure)

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`; waits for an experiment that is being read."""
        names = Names(sought)
        deadline = time.monotonic() + BUDGET_SECONDS
        place = _place_of(cursor)
        looked_at = erased = 0
        while (at := _from(place)) is not None:
            if not _hold(at[0]):
                time.sleep(_PAUSE_SECONDS)
                return Swept(_spelled(at), looked_at, erased)
            rows, place = _rows_after(at)
            looked_at += len(rows)
            gone = [row for row in rows if _is_meant(row, names)]
            if gone:
                params = {"epochs": [row["epoch"] for row in gone],
                          "units": [row["unit"] for row in gone]}  # fmt: skip
                erased += sql.execute(_ERASE, {"experiment_id": at[0], **params})
            if time.monotonic() >= deadline:
                return Swept(_spelled(place), looked_at, erased)
        return Swept(None, looked_at, erased)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`: which variant of which experiment they were shown, and when."""
        names = Names(sought)
        deadline = time.monotonic() + BUDGET_SECONDS
        place = _place_of(cursor)
        looked_at = 0
        items: list[Mapping[str, Any]] = []
        while (at := _from(place)) is not None:
            rows, place = _rows_after(at)
            looked_at += len(rows)
            found = [row for row in rows if _is_meant(row, names)]
            if found:
                experiment = Experiment.objects.get(pk=at[0])
                items += [_item(experiment, row, names) for row in found]
            if time.monotonic() >= deadline:
                return Collected(_spelled(place), looked_at, tuple(items))
        return Collected(None, looked_at, tuple(items))


def _place_of(cursor: Mapping[str, Any]) -> _Place:
    return int(cursor.get("experiment", 0)), int(cursor.get("epoch", -1)), cursor.get("unit", "")


def _spelled(place: _Place) -> dict[str, Any]:
    experiment, epoch, unit = place
    return {"experiment": experiment, "epoch": epoch, "unit": unit}


def _from(place: _Place) -> _Place | None:
    """The place itself, or the beginning of the next experiment that there is; None: the end."""
    found = Experiment.objects.filter(pk__gte=place[0]).order_by("pk").values_list("pk", flat=True)
    number = found.first()
    if number is None:
        return None
    return place if number == place[0] else (number, -1, "")


def _hold(experiment: int) -> bool:
    """Keep an experiment from being read for the present transaction; False while it is."""
    held = Experiment.objects.select_for_update(skip_locked=True, no_key=True)
    return held.filter(pk=experiment).exists() or not _is_there(experiment)


def _is_there(experiment: int) -> bool:
    return Experiment.objects.filter(pk=experiment).exists()


def _rows_after(place: _Place) -> tuple[Sequence[Row], _Place]:
    """Some units after a place, and where to go on."""
    experiment, epoch, unit = place
    params = {"experiment_id": experiment, "after_epoch": epoch, "after_unit": unit}
    rows = sql.fetch_all(_WALK, {**params, "batch": BATCH})
    if len(rows) < BATCH:
        return rows, (experiment + 1, -1, "")
    return rows, (experiment, rows[-1]["epoch"], rows[-1]["unit"])


def _is_meant(row: Row, names: Names) -> bool:
    until = names.latest(iter((row["unit"], row["variant"])))
    return until is not None and row["first_at"] <= until


def _item(experiment: Experiment, row: Row, names: Names) -> Mapping[str, Any]:
    """A row as the person gets it: whole where they are the unit, else that there is one."""
    said = {"experiment": experiment.key, "epoch": row["epoch"], "first_at": row["first_at"]}
    if names.until(row["unit"]) is None:
        return {"about": False, **said, "places": ["/variant"]}
    shown = {name: row[name] for name in ("unit", "variant", "crossed_at", "times")}
    return {"about": True, **said, **shown}


# Who may say a name here is who writes an experiment. In a look it can only be the name of a variant
# that an event made up, as older looks kept it; its hash stays that of before.
RULES: Final = Tables(
    "experiments",
    "Rules, filters and looks of experiments",
    (
        Column(Experiment, "targeting", at="created_at", instead=ERASED),
        Column(Metric, "where", at="created_at", instead=ERASED),
        Column(AnalysisSnapshot, "statistics", at="taken_at", is_guarded=True),
    ),
)
STORES: Final[tuple[Store, ...]] = (Exposures(), RULES)
