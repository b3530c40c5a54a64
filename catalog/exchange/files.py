"""Reading contracts from files of every format that is known, singly or in directories.

A line of a `.jsonl` file: `{"subject": "<name>", "versions": [{"version": "<label>", "schema": {…},
"examples": [{…}]}], "description": "…"}`. A `.json`, `.yaml` or `.yml` file is an AsyncAPI document,
a data contract of ODCS, a Segment tracking plan, portal YAML or a JSON Schema; what it holds says
which. In a directory each such file is read, those beneath it too. A schema's path names its stream,
and a file named like a version (`1.2.0.json`) is a version of its directory's; where the same schema
lies there as `.json` and as YAML, the former is read. A schema given by itself has the file's name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from catalog.exchange import loading
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
        yield from _read_files(path.parent, [path]) if _is_document(path) else _read_lines(path)
    else:
        found = (file for file in path.rglob("*") if not is_hidden(file.relative_to(path)))
        files = sorted(file for file in found if file not in but)
        lines = [file for file in files if file.suffix in LINES]
        documents = [file for file in files if _is_document(file)]
        if not lines and not documents:
            yield Unreadable(str(path), "holds no .jsonl, .json, .yaml or .yml files")
        for file in lines:
            yield from _read_lines(file)
        yield from _read_files(path, documents)


def _is_document(path: Path) -> bool:
    return path.suffix.lower() in loading.JSON_FILES | loading.YAML_FILES


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


def _read_files(root: Path, paths: list[Path]) -> Iterator[OutsideStream | Unreadable]:
    """Documents of streams as they come, then the schemas, whose versions lie in several files."""
    schemas: dict[Path, Mapping[str, Any]] = {}
    for path in paths:
        relative = path.relative_to(root)
        try:
            if path.stat().st_size > loading.MAX_BYTES:
                yield Unreadable(str(relative), loading.TOO_LARGE)
                continue
            loaded = loading.load(path.read_bytes(), name=relative.as_posix())
        except OSError as error:
            yield Unreadable(str(relative), f"cannot be read: {error.strerror}")
            continue
        if isinstance(loaded, Unreadable):
            yield loaded
            continue
        for where, document in loaded.named(relative.as_posix()):
            if loading.format_of(document) is not loading.Format.JSON_SCHEMA:
                yield from loading.read_document(document, where=where)
            elif len(loaded.documents) > 1:
                yield Unreadable(where, "is one of several schemas in a file: give each its own")
            else:
                schemas[relative] = document
    yield from _schemas(root, schemas)


def _schemas(root: Path, schemas: Mapping[Path, Mapping[str, Any]]) -> Iterator[OutsideStream]:
    found: dict[str, list[tuple[tuple[int, ...], OutsideVersion]]] = {}
    for relative, document in schemas.items():
        if relative.suffix != ".json" and relative.with_suffix(".json") in schemas:
            continue
        match = _VERSION_FILE.fullmatch(relative.stem)
        name = str(relative.parent if match else relative.with_suffix("")).replace("\\", "/")
        label = match[1] if match else ""
        order = tuple(int(part) for part in label.split(".")) if label else ()
        version = loading.schema_version(document, label)
        found.setdefault(name if name != "." else root.name, []).append((order, version))
    for name, versions in sorted(found.items()):
        ordered = [version for _, version in sorted(versions, key=lambda item: item[0])]
        yield OutsideStream(name=name, where=name, versions=tuple(ordered))
