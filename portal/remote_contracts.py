"""The contract check against a portal elsewhere, over its REST API: for CI without its database.

A token of who may edit the stream asks for the whole check; where the portal or the token does not
give that, the contract is compared with the active versions that the token may read.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from catalog import naming
from catalog.contract_checks import (
    ContractCheck,
    Outcome,
    check_of,
    new_stream,
    policies_of,
    style_of,
)
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.policy_files import contract_facts, facts_of_new, said_of_facts
from catalog.policy_subjects import CHANGE, STREAM
from catalog.schema_safety import fingerprint
from catalog.services.contract_checks import unread
from governance.policies.judging import Rule, Said, rows_of
from portal.kernel.errors import PortalError, sentence
from portal.kernel.outbound import rules
from portal.kernel.outbound.answers import Answer, Limits
from portal.kernel.outbound.errors import BlockedError, FailedError
from portal.kernel.outbound.session import Session

if TYPE_CHECKING:
    from portal.kernel.outbound.session import Transport

LIMITS: Final = Limits(connect_seconds=10.0, total_seconds=60.0, answer_bytes=32 * 1024 * 1024)
MAX_COMPARED: Final = 100
_JSON: Final = {"Content-Type": "application/json"}
_ASKS_LESS: Final = frozenset({403, 404, 405})


class RemoteError(Exception):
    """The portal cannot be asked; the text is a sentence."""


class RemotePortal:
    """A portal by its address and a personal token."""

    def __init__(self, url: str, token: str, *, transport: "Transport | None" = None) -> None:
        if not url.startswith(("https://", "http://")):
            raise RemoteError(f"{url} is no address; it starts with https://.")
        self.url = url.rstrip("/")
        self.session = Session(
            rules.for_named_by_the_operator(),
            limits=LIMITS,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            transport=transport,
        )

    def check(
        self, outside: OutsideStream | Unreadable, *, domain: str = "imported"
    ) -> ContractCheck:
        """As `catalog.services.contract_checks.check_contract`, by the portal's own rules.

        Raises RemoteError when the portal does not answer, or refuses the token.
        """
        if isinstance(outside, Unreadable):
            return unread(outside)
        if not outside.versions:
            why = "The file holds no schema of it."
            return ContractCheck(outside.name, outside.where, Outcome.UNCHECKED, why=why)
        candidate = outside.versions[-1]
        try:
            names = (outside.name, naming.from_outside(outside.name, domain=domain))
        except PortalError as error:
            return _errors(outside, candidate, sentence(error))
        stream = next((found for name in names if (found := self._stream(name))), None)
        if stream is None:
            return self._new(outside, candidate, names[1])
        return self._against(outside, candidate, stream)

    def _new(self, outside: OutsideStream, candidate: OutsideVersion, name: str) -> ContractCheck:
        answer = self._post("/schemas/lint", {"schema": candidate.document, "name": name})
        if answer.status != 200:
            return _errors(outside, candidate, _detail(answer))
        style = style_of(answer.json()["findings"])
        rules = [rule for rule in self._rules() if rule.subject == STREAM]
        said = said_of_facts(rules, facts_of_new(outside, name=name))
        return new_stream(
            outside, stream=name, label=candidate.label, style=style,
            policies=policies_of(rows_of(said)),
        )  # fmt: skip

    def _against(
        self, outside: OutsideStream, candidate: OutsideVersion, stream: Mapping[str, Any]
    ) -> ContractCheck:
        name, place = str(stream["name"]), f"/streams/{quote(stream['name'], safe='')}"
        active = self._active(place)
        if fingerprint(candidate.document) in {fingerprint(one["schema"]) for one in active}:
            return ContractCheck(name, outside.where, Outcome.UNCHANGED, candidate.label)
        answer = self._post(f"{place}/schemas/check", {"schema": candidate.document})
        if answer.status in _ASKS_LESS:
            report = self._compared(stream, active, candidate)
        elif answer.status == 200:
            report = answer.json()
        else:
            return _errors(outside, candidate, _detail(answer))
        if isinstance(report, str):
            return _errors(outside, candidate, report)
        return check_of(outside, report, stream=name, label=candidate.label)

    def _compared(
        self, stream: Mapping[str, Any], active: list[dict[str, Any]], candidate: OutsideVersion
    ) -> dict[str, Any] | str:
        """A report by the stateless engine, or the sentence of its refusal."""
        newest = max((one["compatibility_group"] for one in active), default=0)
        versions = [one for one in active if one["compatibility_group"] == newest]
        mode = stream["compatibility"]["mode"]
        question = {
            "candidate": candidate.document,
            "versions": [one["schema"] for one in versions][-MAX_COMPARED:],
            **stream["compatibility"],
        }
        answer = self._post("/schemas/compatibility", question)
        if answer.status != 200:
            return _detail(answer)
        verdict = answer.json()
        asked = mode.removesuffix("_TRANSITIVE").lower()
        directions = {"none": set(), "full": {"backward", "forward"}}.get(asked, {asked})
        linted = self._post("/schemas/lint", {"schema": candidate.document, "name": stream["name"]})
        return {
            "verdict": {**stream["compatibility"], **verdict},
            "compared_with": [one["version"] for one in versions],
            "differences": [
                row | {"refuses": not directions.isdisjoint(row["breaks"])}
                for row in verdict["differences"]
            ],
            "consumers": [],
            "style": [
                row
                for row in (linted.json()["findings"] if linted.status == 200 else [])
                if row["severity"] != "suggestion"
            ],
            "policies": rows_of(self._said(str(stream["name"]), candidate)),
        }

    def _said(self, name: str, candidate: OutsideVersion) -> list[Said]:
        """What policies say of the contract alone; what they read of the catalog is not at hand."""
        rules = [rule for rule in self._rules() if rule.subject in (STREAM, CHANGE)]
        at_hand = {"stream": {"name": name}, "contract": contract_facts(candidate.document)}
        return said_of_facts(rules, at_hand)

    def _rules(self) -> list[Rule]:
        """The policies that are on there; none of a portal that has no policies yet."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = self._get(f"/policies?limit=500{cursor}")
            if answer.status == 404:
                return []
            if answer.status != 200:
                raise RemoteError(f"{self.url} answered {answer.status}: {_detail(answer)}")
            rows += answer.json()["items"]
            if not answer.json()["next"]:
                break
            cursor = f"&cursor={quote(answer.json()['next'], safe='')}"
        names = ("slug", "title", "subject", "expression", "severity", "remedy", "version")
        return [Rule(**{name: row[name] for name in names}) for row in rows if row["state"] == "on"]

    def _stream(self, name: str) -> dict[str, Any] | None:
        answer = self._get(f"/streams/{quote(name, safe='')}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise RemoteError(f"{self.url} answered {answer.status}: {_detail(answer)}")
        found: dict[str, Any] = answer.json()
        return found

    def _active(self, place: str) -> list[dict[str, Any]]:
        """The active versions with their documents, oldest first."""
        listed = self._get(f"{place}/schemas?limit=500")
        if listed.status != 200:
            raise RemoteError(f"{self.url} answered {listed.status}: {_detail(listed)}")
        numbers = [row["version"] for row in listed.json()["items"] if row["state"] == "active"]
        found = [self._get(f"{place}/schemas/{number}") for number in sorted(numbers)]
        return [answer.json() for answer in found if answer.status == 200]

    def _get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def _post(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        content = json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
        headers = _JSON if body is not None else {}
        try:
            answer = self.session.send(
                method, f"{self.url}/api/v1{path}", content=content, headers=headers
            )
        except BlockedError as error:
            raise RemoteError(f"{self.url} is not asked. {error}") from error
        except FailedError as error:
            said = "did not answer in time." if error.code == "timeout" else "cannot be reached."
            raise RemoteError(f"{self.url} {said} {error}") from error
        if answer.status == 401:
            raise RemoteError(f"{self.url} refuses the token: it is unknown, expired or revoked.")
        if answer.is_redirect or "json" not in answer.headers.get("content-type", ""):
            raise RemoteError(f"{self.url} is not a portal: {method} {path} gave no JSON.")
        if answer.status == 429 or answer.status >= 500:
            raise RemoteError(f"{self.url} answered {answer.status}: {_detail(answer)}")
        return answer


def _errors(outside: OutsideStream, candidate: OutsideVersion, why: str) -> ContractCheck:
    return ContractCheck(outside.name, outside.where, Outcome.ERRORS, candidate.label, why=why)


def _detail(answer: Answer) -> str:
    """The sentence of a problem document."""
    problem = answer.json()
    if not isinstance(problem, dict):
        return answer.reason
    first: dict[str, str] = next(iter(problem.get("errors") or []), {})
    more = f" {first.get('pointer', '')}: {first.get('detail', '')}" if first else ""
    return f"{problem.get('detail', answer.reason)}{more}"
