"""The checker is told lies and must catch each; of true histories it complains of none."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.soak.checker import Account, Stored, StoredEvent, StoredLetter, check
from portal.soak.history import Attempt, History, Outcome, Result, Sent, read

STREAM, OTHER = "faults.tick", "faults.tock"
MINUTE = 29_000_000


def sent(name: str, *, content: str = "c", refused_for: str = "", **changes: Any) -> Sent:
    made = Sent(STREAM, name, 1000, f"{content}-{name}", f"{content}-raw-{name}", refused_for)
    return replace(made, **changes)


@dataclass
class Model:
    """A portal that keeps every promise, and the history its clients make with it."""

    history: History = field(default_factory=History)
    stored: Stored = field(default_factory=Stored)
    counts: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    tx: int = 100

    def send(
        self, *events: Sent, says: int | None = 202, is_kept: bool = True, producer: int = 1
    ) -> Attempt:
        """One request. `says` is the status that reaches the client, if any does."""
        number = len(self.history.attempts)
        attempt = self.history.begin("model", events, at=float(number))
        outcomes = self._take(events, producer) if is_kept else None
        if outcomes is not None and says == 202 and all(o.reason for o in outcomes):
            says = 422
        self.history.end(
            attempt,
            at=number + 0.5,
            status=says,
            outcomes=outcomes if says in {202, 422} else None,
            has_retry_after=says in {429, 503},
        )
        return attempt

    def rehearse(self, *events: Sent) -> None:
        attempt = self.history.begin("model", events, at=0.0, is_rehearsal=True)
        outcomes = [Outcome("accepted") for _ in events]
        self.history.end(attempt, at=0.5, status=202, outcomes=outcomes)

    def refuse(self, *events: Sent, status: int = 401) -> None:
        attempt = self.history.begin("model", events, at=0.0)
        self.history.end(attempt, at=0.5, status=status)

    def finish(self) -> Stored:
        self.stored.accounts = [
            Account(stream, minute, *counts) for (stream, minute), counts in self.counts.items()
        ]
        self.stored.reads = sorted(self.stored.events, key=lambda event: event.offset)
        return self.stored

    def _take(self, events: tuple[Sent, ...], producer: int) -> list[Outcome]:
        self.tx += 1
        outcomes = []
        for place, event in enumerate(events):
            outcome = self._outcome(event, place, producer)
            outcomes.append(outcome)
            counts = self.counts.setdefault((event.stream, MINUTE), [0, 0, 0, 0])
            counts[0] += 1
            counts[["accepted", "duplicate", "dead_lettered"].index(outcome.status) + 1] += 1
        return outcomes

    def _outcome(self, event: Sent, place: int, producer: int) -> Outcome:
        if event.refused_for:
            return self._letter(event, event.refused_for, producer)
        for there in self.stored.events:
            if there.identity == event.identity:
                if there.content == event.content:
                    return Outcome("duplicate")
                return self._letter(event, "id_conflict", producer)
        self.stored.events.append(
            StoredEvent(
                event.stream, event.id, event.time_us, event.content, MINUTE, (self.tx, place)
            )
        )
        return Outcome("accepted")

    def _letter(self, event: Sent, reason: str, producer: int) -> Outcome:
        for there in self.stored.letters:
            if (there.body_sha256, there.reason, there.producer) == (
                event.raw_sha256, reason, producer,
            ):  # fmt: skip
                return Outcome("dead_lettered", reason, there.id)
        letter = StoredLetter(
            f"letter-{len(self.stored.letters)}", event.stream, event.id, producer, reason, 1,
            event.raw_sha256, MINUTE,
        )  # fmt: skip
        self.stored.letters.append(letter)
        return Outcome("dead_lettered", reason, letter.id)


def eventful() -> Model:
    """A history with one of everything."""
    model = Model()
    bad = sent("bad", refused_for="schema_violation")
    model.send(sent("a"), sent("b"), bad)
    model.send(sent("a"), sent("a", content="other"), bad)
    model.send(sent("untimed", time_us=None), sent("a", time_us=2000), sent("a", stream=OTHER))
    model.send(sent("c"), says=None)  # the answer was lost, the events were not
    model.send(sent("c"))
    model.send(sent("d"), says=503, is_kept=False)
    model.send(sent("e"), says=None, is_kept=False)
    model.send(sent("e"))
    model.rehearse(sent("only-a-rehearsal"))
    model.refuse(sent("no-key"))
    model.send(sent("f"), sent("g"))
    model.finish()
    return model


def test_the_truth_has_no_fault() -> None:
    model = eventful()
    assert check(model.history.attempts, model.stored) == []


def lose(model: Model) -> None:
    del model.stored.events[0]


def double(model: Model) -> None:
    model.stored.events.append(replace(model.stored.events[0], offset=(900, 0)))


def double_without_a_time(model: Model) -> None:
    (untimed,) = [event for event in model.stored.events if event.time_us is None]
    model.stored.events.append(replace(untimed, offset=(900, 0)))


def conjure(model: Model) -> None:
    model.stored.events.append(StoredEvent(STREAM, "ghost", 1000, "c-ghost", MINUTE, (900, 0)))


def conjure_a_letter(model: Model) -> None:
    model.stored.letters.append(replace(model.stored.letters[0], id="x", body_sha256="ghost"))


def alter(model: Model) -> None:
    model.stored.events[0] = replace(model.stored.events[0], content="something else")


def overwrite_the_first(model: Model) -> None:
    """An id_conflict was answered, and the second body took the place of the first."""
    model.stored.events[0] = replace(model.stored.events[0], content="other-a")


def put_in_both(model: Model) -> None:
    letter = replace(model.stored.letters[0], id="x", event_id="a", body_sha256="c-raw-a")
    model.stored.letters.append(letter)


def give_no_reason(model: Model) -> None:
    model.stored.letters[0] = replace(model.stored.letters[0], n_errors=0)


def lose_a_letter(model: Model) -> None:
    del model.stored.letters[0]


def double_a_letter(model: Model) -> None:
    model.stored.letters.append(replace(model.stored.letters[0], id="x"))


def miscount_received(model: Model) -> None:
    model.stored.accounts[0] = replace(
        model.stored.accounts[0], received=model.stored.accounts[0].received + 1
    )


def miscount_both_sides(model: Model) -> None:
    account = model.stored.accounts[0]
    model.stored.accounts[0] = replace(
        account, received=account.received + 1, accepted=account.accepted + 1
    )


def forget_a_letter_in_the_accounts(model: Model) -> None:
    account = model.stored.accounts[0]
    model.stored.accounts[0] = replace(
        account, received=account.received - account.dead_lettered, dead_lettered=0
    )


def serve_out_of_order(model: Model) -> None:
    model.stored.reads[1], model.stored.reads[2] = model.stored.reads[2], model.stored.reads[1]


def serve_twice(model: Model) -> None:
    model.stored.reads.insert(1, model.stored.reads[0])


def serve_what_is_not_there(model: Model) -> None:
    model.stored.reads.append(replace(model.stored.reads[-1], offset=(900, 0)))


def skip_an_offset(model: Model) -> None:
    del model.stored.reads[2]


def roll_back_after_the_answer(model: Model) -> None:
    """The status line left before the commit, which then failed: the answer named no outcomes."""
    model.send(sent("rolled-back"), is_kept=False)


def call_it_a_duplicate(model: Model) -> None:
    attempt = model.send(sent("never-stored"), is_kept=False)
    attempt.outcomes = (Outcome("duplicate"),)


def call_it_a_conflict(model: Model) -> None:
    attempt = model.send(sent("lonely"), is_kept=False)
    model.stored.letters.append(
        StoredLetter("x", STREAM, "lonely", 1, "id_conflict", 1, "c-raw-lonely", MINUTE)
    )
    attempt.outcomes = (Outcome("dead_lettered", "id_conflict", "x"),)


def accept_twice(model: Model) -> None:
    attempt = model.send(sent("f"))
    attempt.outcomes = (Outcome("accepted"),)


def keep_what_was_refused(model: Model) -> None:
    model.stored.events.append(StoredEvent(STREAM, "no-key", 1000, "c-no-key", MINUTE, (900, 0)))


def keep_a_rehearsal(model: Model) -> None:
    name = "only-a-rehearsal"
    model.stored.events.append(StoredEvent(STREAM, name, 1000, f"c-{name}", MINUTE, (900, 0)))


def accept_a_bad_one(model: Model) -> None:
    model.stored.events.append(StoredEvent(STREAM, "bad", 1000, "c-bad", MINUTE, (900, 0)))


def refuse_a_good_one(model: Model) -> None:
    attempt = model.send(sent("good"), is_kept=False)
    model.stored.letters.append(
        StoredLetter("x", STREAM, "good", 1, "schema_violation", 1, "c-raw-good", MINUTE)
    )
    attempt.outcomes = (Outcome("dead_lettered", "schema_violation", "x"),)


def leave_an_item_out(model: Model) -> None:
    first = model.history.attempts[0]
    assert first.outcomes is not None
    first.outcomes = first.outcomes[:-1]


def fail_without_grace(model: Model) -> None:
    model.send(sent("h"), says=500, is_kept=False)


def fail_without_a_time(model: Model) -> None:
    model.send(sent("h"), says=503, is_kept=False).has_retry_after = False


def answer_too_late(model: Model) -> None:
    model.history.attempts[0].ended = 20.0


def hang(model: Model) -> None:
    attempt = model.send(sent("i"), says=None, is_kept=False)
    attempt.ended = attempt.began + 12


def break_the_audit(model: Model) -> None:
    model.stored.audit_fault = "row 7 does not follow row 6"


LIES: list[tuple[Callable[[Model], None], str]] = [
    (lose, "lost"),
    (double, "doubled"),
    (double_without_a_time, "doubled"),
    (conjure, "phantom"),
    (conjure_a_letter, "phantom_dead_letter"),
    (alter, "altered"),
    (overwrite_the_first, "altered"),
    (put_in_both, "in_both"),
    (give_no_reason, "dead_without_reason"),
    (lose_a_letter, "lost_dead_letter"),
    (double_a_letter, "doubled_dead_letter"),
    (miscount_received, "accounts"),
    (miscount_both_sides, "accounts"),
    (forget_a_letter_in_the_accounts, "accounts"),
    (serve_out_of_order, "offset_order"),
    (serve_twice, "offset_order"),
    (skip_an_offset, "offset_skipped"),
    (serve_what_is_not_there, "offset_phantom"),
    (roll_back_after_the_answer, "lost"),
    (call_it_a_duplicate, "duplicate_of_nothing"),
    (call_it_a_conflict, "conflict_of_nothing"),
    (accept_twice, "accepted_twice"),
    (keep_what_was_refused, "kept_though_refused"),
    (keep_a_rehearsal, "kept_rehearsal"),
    (accept_a_bad_one, "wrongly_accepted"),
    (refuse_a_good_one, "wrongly_refused"),
    (leave_an_item_out, "incomplete_answer"),
    (fail_without_grace, "server_error"),
    (fail_without_a_time, "no_retry_after"),
    (answer_too_late, "late_answer"),
    (hang, "late_answer"),
    (break_the_audit, "audit"),
]


@pytest.mark.parametrize(("lie", "kind"), LIES, ids=[lie.__name__ for lie, _ in LIES])
def test_each_lie_is_caught(lie: Callable[[Model], None], kind: str) -> None:
    model = eventful()
    lie(model)
    found = check(model.history.attempts, model.stored)
    assert kind in {violation.kind for violation in found}
    assert all(violation.detail for violation in found)


def test_every_kind_of_violation_has_a_lie() -> None:
    code = Path(check.__code__.co_filename).read_text()
    kinds = set(re.findall(r'Violation\(\s*"(\w+)"', code))
    assert kinds == {kind for _, kind in LIES}


names = st.sampled_from([f"n{number}" for number in range(6)])
events = st.builds(
    sent,
    names,
    content=st.sampled_from(["c", "other"]),
    time_us=st.sampled_from([1000, 2000, None]),
    stream=st.sampled_from([STREAM, OTHER]),
)
bad = names.map(lambda name: sent(f"bad-{name}", refused_for="schema_violation"))
requests = st.tuples(
    st.lists(st.one_of(events, bad), min_size=1, max_size=5),
    st.sampled_from(["told", "told", "answer lost", "never arrived", "unavailable", "late 503"]),
    st.sampled_from([1, 2]),
)


def distinct(event: Sent) -> Sent:
    """The bytes of an event tell it from every other."""
    place = "untimed" if event.time_us is None else str(event.time_us)
    raw = f"{event.content}-{event.stream}-{place}"
    return replace(event, content=raw, raw_sha256=raw)


@given(st.lists(requests, max_size=25), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_clients_do_a_right_portal_is_not_accused_and_a_lying_one_is(
    history: list[tuple[list[Sent], str, int]], data: st.DataObject
) -> None:
    model = Model()
    for requested, fate, producer in history:
        batch = [distinct(event) for event in requested]
        says = {"told": 202, "unavailable": 503, "late 503": 503}.get(fate)
        is_kept = fate in {"told", "answer lost", "late 503"}
        model.send(*batch, says=says, is_kept=is_kept, producer=producer)
    model.refuse(sent("no-key"))
    model.rehearse(sent("rehearsed"))
    stored = model.finish()
    assert check(model.history.attempts, stored) == []
    told = {
        event.identity
        for attempt in model.history.attempts
        if attempt.result is Result.OK and not attempt.is_rehearsal
        for event, outcome in zip(attempt.sent, attempt.outcomes or (), strict=True)
        if outcome.status != "dead_lettered"
    }
    if told:
        victim = data.draw(st.sampled_from(sorted(told, key=str)))
        stored.events = [event for event in stored.events if event.identity != victim]
        kinds = {violation.kind for violation in check(model.history.attempts, stored)}
        assert kinds & {"lost", "duplicate_of_nothing"}


def test_a_history_on_disk_is_the_one_in_memory_and_survives_a_torn_line(tmp_path: Path) -> None:
    place = tmp_path / "history.jsonl"
    history = History(place)
    first = history.begin("one", [sent("a"), sent("b", time_us=None)], at=1.0)
    history.end(first, at=2.0, status=202, outcomes=[Outcome("accepted"), Outcome("duplicate")])
    history.begin("two", [sent("c")], at=1.5, is_rehearsal=True)
    assert read(place) == history.attempts
    history.close()
    place.write_bytes(place.read_bytes() + b'{"number": 1, "ended": 2')
    assert read(place) == history.attempts
    assert [attempt.result for attempt in read(place)] == [Result.OK, Result.INFO]


def test_a_refusal_that_broke_off_may_have_left_a_dead_letter() -> None:
    for is_whole, faults in ((False, []), (True, ["phantom_dead_letter"])):
        model = eventful()
        attempt = model.send(sent("broken", refused_for="unparsable"), says=None)
        model.history.end(attempt, at=1.0, status=400, is_whole=is_whole)
        found = check(model.history.attempts, model.finish())
        assert [violation.kind for violation in found] == faults


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (202, Result.OK), (422, Result.OK), (401, Result.FAIL), (413, Result.FAIL),
        (400, Result.FAIL), (503, Result.INFO), (429, Result.INFO), (None, Result.INFO),
    ],
)  # fmt: skip
def test_the_result_of_a_request_is_what_its_status_promises(
    status: int | None, result: Result
) -> None:
    assert Attempt(0, "x", (), status=status).result is result
    broken_off = Attempt(0, "x", (), status=status, is_whole=False).result
    assert broken_off is (Result.INFO if status == 400 else result)
    kept = Attempt(0, "x", (), status=400, outcomes=(Outcome("dead_lettered", "unparsable"),))
    assert kept.result is Result.OK
