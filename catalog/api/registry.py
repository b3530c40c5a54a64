"""The registry's endpoints: each reads a call, asks a selector or service, and gives a JSON value."""

from typing import Any
from uuid import UUID

from catalog.api.registry_door import Call, Raw
from catalog.models import RegistryVersion
from catalog.registry.errors import (
    RegistryError,
    schema_not_found,
)
from catalog.registry.requests import (
    MAX_NUMBER,
    SentSchema,
    page,
    read_flag,
    read_schema,
    read_version,
)
from catalog.registry.subjects import read_prefix, read_subject
from catalog.selectors import registry as found
from catalog.services import registry as registrations
from catalog.services import registry_deletions as deletions


def root(call: Call) -> Any:
    return {}


def nothing(call: Call, **parts: str) -> Any:
    raise RegistryError(404, 404, "HTTP 404 Not Found")


def subjects(call: Call) -> Any:
    return page(
        call.query,
        found.listed_subjects(
            call.actor,
            prefix=read_prefix(call.query.get("subjectPrefix", "")),
            deleted=read_flag(call.query, "deleted"),
            deleted_only=_deleted_only(call),
        ),
    )


def look_up(call: Call, subject: str) -> Any:
    sent = _sent(call)
    answer = registrations.look_up_schema(
        call.actor, read_subject(subject), sent, deleted=read_flag(call.query, "deleted")
    )
    return answer.as_dict() | {"subject": subject}


def versions(call: Call, subject: str) -> Any:
    numbers = found.version_numbers(
        call.actor,
        read_subject(subject),
        deleted=read_flag(call.query, "deleted"),
        deleted_only=_deleted_only(call),
    )
    return page(call.query, numbers)


def register(call: Call, subject: str) -> Any:
    answer = registrations.register_schema(read_subject(subject), _sent(call), actor=call.actor)
    return answer.as_dict() | {"subject": subject}


def version(call: Call, subject: str, version: str) -> Any:
    return found.version_answer(_version(call, subject, version), subject).as_dict()


def version_schema(call: Call, subject: str, version: str) -> Any:
    return Raw(_version(call, subject, version).schema.text)


def referenced_by(call: Call, subject: str, version: str) -> Any:
    return page(call.query, found.referring_ids(call.actor, _version(call, subject, version)))


def with_metadata(call: Call, subject: str) -> Any:
    """The latest version whose metadata has the properties named by `key` and `value`."""
    wanted = dict(
        zip(call.request.GET.getlist("key"), call.request.GET.getlist("value"), strict=False)
    )
    row = found.with_metadata(
        call.actor, read_subject(subject), wanted, deleted=read_flag(call.query, "deleted")
    )
    return found.version_answer(row, subject).as_dict()


def delete_subject(call: Call, subject: str) -> Any:
    return deletions.delete_subject(
        read_subject(subject), actor=call.actor, permanent=read_flag(call.query, "permanent")
    )


def delete_version(call: Call, subject: str, version: str) -> Any:
    return deletions.delete_version(
        read_subject(subject),
        read_version(version),
        actor=call.actor,
        permanent=read_flag(call.query, "permanent"),
    )


def schemas(call: Call) -> Any:
    chosen = page(
        call.query,
        found.listed_versions(
            call.actor,
            prefix=read_prefix(call.query.get("subjectPrefix", "")),
            deleted=read_flag(call.query, "deleted"),
            latest_only=read_flag(call.query, "latestOnly"),
        ),
    )
    rows = found.rows_by_id(pk for _, _, pk in chosen)
    return [found.version_answer(rows[pk], subject).as_dict() for subject, _, pk in chosen]


def schema_types(call: Call) -> Any:
    return ["JSON"]


def schema(call: Call, schema_id: str) -> Any:
    row = found.get_schema(call.actor, _schema_id(schema_id))
    answer = found.schema_answer(row).as_dict()
    if subject := call.query.get("subject", ""):
        answer |= _place(call, row.pk, subject)
    if read_flag(call.query, "fetchMaxId"):
        answer["maxId"] = found.newest_id()
    return answer


def schema_by_guid(call: Call, guid: str) -> Any:
    try:
        digest = UUID(guid).bytes
    except ValueError:
        raise schema_not_found(guid[:40]) from None
    row = found.get_schema_by_guid(call.actor, digest)
    return found.schema_answer(row).as_dict() | {"id": row.pk}


def schema_text(call: Call, schema_id: str) -> Any:
    return Raw(found.get_schema(call.actor, _schema_id(schema_id)).text)


def schema_subjects(call: Call, schema_id: str) -> Any:
    names = {subject for subject, _ in _places(call, schema_id)}
    return page(call.query, sorted(names))


def schema_versions(call: Call, schema_id: str) -> Any:
    places = [
        {"subject": subject, "version": row.version.version}
        for subject, row in _places(call, schema_id)
    ]
    return page(call.query, places)


def try_version(call: Call, subject: str, version: str) -> Any:
    return _verdict(call, subject, read_version(version), is_one=True)


def try_all(call: Call, subject: str) -> Any:
    return _verdict(call, subject, None, is_one=False)


def contexts(call: Call) -> Any:
    return page(call.query, [found.CONTEXT])


def _sent(call: Call) -> SentSchema:
    return read_schema(call.body(), normalize=read_flag(call.query, "normalize"))


def _deleted_only(call: Call) -> bool:
    return read_flag(call.query, "deletedOnly", "deleted_only")


def _version(call: Call, subject: str, version: str) -> RegistryVersion:
    return found.get_registered(
        call.actor,
        read_subject(subject),
        read_version(version),
        deleted=read_flag(call.query, "deleted"),
    )


def _schema_id(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:12]) > MAX_NUMBER:
        raise schema_not_found(text[:40])
    return int(text[:12])


def _places(call: Call, schema_id: str) -> list[tuple[str, RegistryVersion]]:
    """Where a schema is registered, each place under each text that names its subject."""
    row = found.get_schema(call.actor, _schema_id(schema_id))
    rows = found.versions_of_schema(call.actor, row, deleted=read_flag(call.query, "deleted"))
    names = found.subjects_of(one.version.stream_id for one in rows)
    asked = call.query.get("subject", "")
    return [
        (name, one)
        for one in rows
        for name in names[one.version.stream_id]
        if not asked or name == asked
    ]


def _place(call: Call, schema_id: int, subject: str) -> dict[str, Any]:
    """Subject and version of a schema under a subject; empty where it is not registered there."""
    try:
        stream = found.find_stream(call.actor, read_subject(subject))
    except RegistryError:
        return {}
    rows = found.registered(deleted=True).filter(version__stream=stream, schema_id=schema_id)
    last = rows.order_by("-version__version").first()
    return {"subject": subject, "version": last.version.version} if last is not None else {}


def _verdict(call: Call, subject: str, number: int | None, *, is_one: bool) -> dict[str, Any]:
    """`messages` say why not; they are told to who asks for them by `verbose`."""
    messages = registrations.try_schema(
        call.actor, read_subject(subject), _sent(call), number=number, is_one=is_one
    )
    told = messages if messages is not None and read_flag(call.query, "verbose") else []
    return {"is_compatible": messages is None, "messages": told}
