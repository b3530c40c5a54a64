"""Contracts from paths of any format: what the commands read.

JSON lines and directories of JSON Schemas are read by `files`, where paths name streams; every other
file by what it holds. In a directory each file is told by itself: a `.json` that is AsyncAPI, ODCS
or a Segment plan, and each `.yaml`, is read as that.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from catalog.exchange import files, loading
from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.loading import Format, Loaded
from catalog.exchange.uploads import Text, read_texts

_YAML: Final = frozenset({".yaml", ".yml"})


def read_contracts(paths: Iterable[Path]) -> Iterator[OutsideStream | Unreadable]:
    """Everything that the paths hold, in a stable order; what cannot be read is said, not raised.

    Of portal YAML the streams alone.
    """
    for path in paths:
        if _is_directory(path):
            yield from _directory(path)
        elif path.suffix in _YAML or _is_document(path):
            yield from _document(path, path.name)
        else:
            yield from files.read_paths([path])


def _directory(root: Path) -> Iterator[OutsideStream | Unreadable]:
    documents = [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not files.is_hidden(path.relative_to(root))
        and (path.suffix in _YAML or _is_document(path))
    ]
    for path in documents:
        yield from _document(path, str(path.relative_to(root)))
    rest = files.read_paths([root], but=frozenset(documents))
    for found in rest:
        if documents and isinstance(found, Unreadable) and found.where == str(root):
            continue  # nothing beside the documents
        yield found


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file system takes; said by who reads it
        return False


def _is_document(path: Path) -> bool:
    """Whether a `.json` file is a document of another tool rather than a plain JSON Schema."""
    if path.suffix != ".json":
        return False
    try:
        loaded = loading.load(path.read_bytes(), name=path.name)
    except OSError:
        return False
    if not isinstance(loaded, Loaded) or not loaded.documents:
        return False
    return loading.format_of(loaded.documents[0]) not in (None, Format.JSON_SCHEMA)


def _document(path: Path, where: str) -> Iterator[OutsideStream | Unreadable]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        yield Unreadable(where, f"cannot be read: {error.strerror}")
        return
    found = read_texts([Text(raw, where)])
    yield from found.streams
    for _, declared in found.declared:
        yield from declared.unreadable
        yield from declared.streams
