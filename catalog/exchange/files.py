"""Reading contracts from files: JSON lines of streams, or directories of JSON Schema files.

A line of a `.jsonl` file: `{"subject": "<name>", "versions": [{"version": "<label>", "schema": {…},
"examples": [{…}]}], "description": "…"}`. In a directory each `.jsonl` file is read so, and each
`.json` file is a schema: its path names the stream, and a file named like a version (`1.2.0.json`)
is a version of its directory's. A `.json` file given by itself is a schema of the file's name.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from portal.kernel import strict_json
from portal.kernel.errors import PortalError

LINES: Final = frozenset({".jsonl", ".ndjson"})
_VERSION_FILE: Final = re.compile(r"v?(\d+(?:\.\d+){0,3})")


def read_paths(
    paths: Iterable[Path], *, but: frozenset[Path] = frozenset()
) -> Iterator[OutsideStream | Unreadable]:
    """Everything the paths hold, in a stable order; what cannot be read is said, not raised.

    `but` are files of a directory that others read.
    """
    for path in paths:
        try:
            yield from _read(path, but)
        except OSError as error:
            yield Unreadable(str(error.filename or path), f"cannot be read: {error.strerror}")


def _read(path: Path, but: frozenset[Path]) -> Iterator[OutsideStream | Unreadable]:
    if not path.exists():
        yield Unreadable(str(path), "there is no such file or directory")
    elif not path.is_dir():
        yield from _read_schemas(path.parent, [path]) if _is_schema(path) else _read_lines(path)
    else:
        found = (file for file in path.rglob("*") if not is_hidden(file.relative_to(path)))
        files = sorted(file for file in found if file not in but)
        lines = [file for file in files if file.suffix in LINES]
        schemas = [file for file in files if _is_schema(file)]
        if not lines and not schemas:
            yield Unreadable(str(path), "holds neither .jsonl nor .json files")
        for file in lines:
            yield from _read_lines(file)
        yield from _read_schemas(path, schemas)


def _is_schema(path: Path) -> bool:
    return path.suffix == ".json"


def is_hidden(path: Path) -> bool:
    """Whether a path within a directory is hidden, or in something hidden."""
    return any(part.startswith(".") for part in path.parts)


def _read_lines(path: Path) -> Iterator[OutsideStream | Unreadable]:
    with path.open("rb") as file:
        yield from read_lines(file, name=path.name)


def read_lines(lines: Iterable[bytes], *, name: str) -> Iterator[OutsideStream | Unreadable]:
    """The streams of JSON lines, one each; `name` says where in reports."""
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if not line:
            continue
        where = f"{name}:{number}"
        try:
            yield _stream(strict_json.decode_document(line), where)
        except PortalError as error:
            yield Unreadable(where, _said(error))
        except ValueError:
            yield Unreadable(where, "needs subject and versions, each with a schema")


def _said(error: PortalError) -> str:
    return error.detail.replace("The body", "It")


def _stream(entry: Any, where: str) -> OutsideStream:
    """The stream of one line; ValueError when its shape is another."""
    if not isinstance(entry, dict):
        raise ValueError
    name = entry.get("subject", entry.get("name"))
    versions = entry.get("versions", [entry])
    if not isinstance(name, str) or not isinstance(versions, list) or not versions:
        raise ValueError
    if not all(isinstance(one, dict) and "schema" in one for one in versions):
        raise ValueError
    if not all(isinstance(one.get("examples") or [], list) for one in versions):
        raise ValueError
    return OutsideStream(
        name=name,
        where=where,
        description=str(entry.get("description", "")),
        versions=tuple(
            OutsideVersion(
                label=str(version.get("version", "")),
                document=version["schema"],
                examples=tuple(version.get("examples") or ()),
            )
            for version in versions
        ),
    )


def _read_schemas(root: Path, paths: Iterable[Path]) -> Iterator[OutsideStream | Unreadable]:
    found: dict[str, list[tuple[tuple[int, ...], OutsideVersion]]] = {}
    for path in paths:
        relative = path.relative_to(root)
        try:
            document = strict_json.decode_document(path.read_bytes())
        except OSError as error:
            yield Unreadable(str(relative), f"cannot be read: {error.strerror}")
            continue
        except PortalError as error:
            yield Unreadable(str(relative), _said(error))
            continue
        if not isinstance(document, dict) or not {"$schema", "type", "properties"} & set(document):
            yield Unreadable(str(relative), "is not a JSON Schema")
            continue
        match = _VERSION_FILE.fullmatch(path.stem)
        name = str(relative.parent if match else relative.with_suffix("")).replace("\\", "/")
        label = match[1] if match else ""
        order = tuple(int(part) for part in label.split(".")) if label else ()
        examples = document.get("examples")
        version = OutsideVersion(
            label, document, tuple(examples) if isinstance(examples, list) else ()
        )
        found.setdefault(name if name != "." else root.name, []).append((order, version))
    for name, versions in sorted(found.items()):
        ordered = [version for _, version in sorted(versions, key=lambda item: item[0])]
        yield OutsideStream(name=name, where=name, versions=tuple(ordered))
