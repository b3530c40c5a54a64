"""What each route asks of its caller, declared beside the view.

A view function carries `@declare(GET="signed_in", POST="stream.edit")`; a class-based API view
carries `policy = {"GET": "signed_in"}`. A policy is a word of `POLICIES`. A route or method
without one is refused at start-up (`portal.checks`) and at run time. `stream.*` and the like name
the object permission that the view's selector or service asks for through `governance.access`.
"""

from collections.abc import Callable, Mapping
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

POLICIES: Final[Mapping[str, str]] = {
    "public": "Anybody, without credentials.",
    "credentials": "Anybody with valid credentials, whatever their scopes.",
    "signed_in": "Any person who is signed in, or a key that may read.",
    "self": "A person, on what is their own.",
    "read_only": "A person; nothing is changed.",
    "producer": "A producer key.",
    "admin": "A person with the role admin.",
    "stream.register": "A person who may register streams: an engineer or admin.",
    "stream.discover": "Whoever may know of the stream.",
    "stream.read_payload": "Whoever holds a grant to the payload.",
    "stream.read_personal": "Whoever holds a grant to the personal fields.",
    "stream.publish": "The owner team, or whoever may publish by grant.",
    "stream.edit": "The owner team, an editor by grant, or an admin.",
    "domain.edit": "The owner team of the domain, an editor by grant, or an admin.",
    "stream.approve": "The owner team, an approver by grant, or an admin.",
    "team.manage": "An admin, or a lead of the team.",
    "glossary.write": "Somebody of the team that keeps the term, or an admin.",
    "producer.manage": "The producer's team, or an admin.",
    "consumer.manage": "The consumer's team, or an admin.",
    "grant.end": "Its holder, who may approve on the thing, or an admin.",
    "access.break_glass": "On-call, or an admin; told to its owners at once, and reviewed.",
    "access.decide": "The owner team of the resource, or an admin; never the one who asked.",
    "audit.read": "A person with the role admin.",
    "experiment.read": "Whoever is signed in.",
    "experiment.write": "Its owner team, or an admin; drafts by managers, engineers, analysts.",
    "job.read": "Who started the work, its team, or an admin.",
    "job.steer": "Who started the work, its team, or an admin.",
    "draft.read": "Its author, and whom they shared it with.",
    "draft.write": "Its author, and whom they shared it with; its author alone shares, discards.",
    "storage.read": "An engineer, on-call, or an admin.",
    "dead_letter.read": "The owner team of the stream, on-call, or an admin.",
    "dead_letter.handle": "The owner team of the stream, on-call, or an admin.",
    "dead_letter.decide": "Who may approve on the stream; never the one who declared it.",
    "discovered.read": "On-call, admins, and the team whose producer sent the type.",
    "registry.read": "A personal token with the scope read, or a producer key.",
    "registry.write": "A token with the scope write of who may edit the stream; a producer key.",
    "metrics": "A personal token with the scope metrics.",
}


def declare(**methods: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Attach the policy of each HTTP method to a view function. HEAD follows GET."""
    unknown = {word for word in methods.values() if word not in POLICIES}
    if unknown:
        raise ValueError(f"Unknown policies: {sorted(unknown)}")
    if "GET" in methods:
        methods.setdefault("HEAD", methods["GET"])

    def attach(view: Callable[P, R]) -> Callable[P, R]:
        view.policy = dict(methods)  # type: ignore[attr-defined]  # functions take attributes
        return view

    return attach


def policy_of(view: object) -> Mapping[str, str] | None:
    """The declared policy by method of a view function or class-based view; None without one."""
    for holder in (view, getattr(view, "cls", None), getattr(view, "view_class", None)):
        policy = getattr(holder, "policy", None)
        if isinstance(policy, Mapping):
            declared = dict(policy)
            if "GET" in declared:
                declared.setdefault("HEAD", declared["GET"])
            return declared
    return None
