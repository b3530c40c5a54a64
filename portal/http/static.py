"""Static files: Plotly's one file that pages need, and the style sheet as a single file."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage

NAME: Final = "plotly.min.js"
SHEET: Final = "css/app.css"
_IMPORT: Final = re.compile(r'^@import url\("([^"]+)"\) layer\((\w+)\);$', re.MULTILINE)


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it has no types
    """Compressed files under hashed names. The sheet's sixty parts are one file in it.

    A part is an import in the tree, and would be a request of each new visitor's browser.
    """

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[Any]:
        """As Django's, with the sheet made whole first; what is hashed is the whole."""
        if SHEET in paths and not dry_run:
            source, path = paths[SHEET]
            whole = joined(source, path).encode()
            self.delete(SHEET)
            self.save(SHEET, ContentFile(whole))
            paths = {**paths, SHEET: (self, SHEET)}
        yield from super().post_process(paths, dry_run, **options)


def joined(storage: FileSystemStorage, path: str) -> str:
    """A style sheet with what it imports in place of each import, in the layer it was given."""
    folder = path.rpartition("/")[0]

    def part(found: re.Match[str]) -> str:
        name, layer = found.groups()
        with storage.open(f"{folder}/{name}") as file:
            return f"@layer {layer} {{\n{file.read().decode()}}}"

    with storage.open(path) as file:
        return _IMPORT.sub(part, file.read().decode())


class PlotlyFinder(BaseFinder):
    """Serves `plotly/plotly.min.js`. The package's directory also holds data that no page needs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        spec = find_spec("plotly")
        if spec is None or spec.origin is None:
            raise RuntimeError("The plotly package is not installed.")
        self.storage = FileSystemStorage(Path(spec.origin).parent / "package_data")
        self.storage.prefix = "plotly"  # type: ignore[attr-defined]  # read by collectstatic

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        if path != f"plotly/{NAME}":
            return [] if find_all else None
        found = self.storage.path(NAME)
        return [found] if find_all else found

    def list(self, ignore_patterns: Any) -> Iterator[Any]:
        yield NAME, self.storage
