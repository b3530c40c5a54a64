"""Writing documents as text: YAML that both 1.1 and 1.2 read alike, and JSON."""

import json
from typing import Any

import yaml


class _Dumper(yaml.CSafeDumper):
    """Writes text as text: whatever any YAML would take for something else is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text and _is_block(text) else None
    if style is None and _is_odd(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_block(text: str) -> bool:
    return not any(line != line.rstrip() or "\t" in line for line in text.split("\n")) and (
        text.isprintable() or all(char.isprintable() or char == "\n" for char in text)
    )


def _is_odd(text: str) -> bool:
    """Whether YAML 1.2 would read the plain word as something else than YAML 1.1, our dumper's."""
    return bool(text) and (text[0] in "+-.0123456789" or not text.isprintable())


_Dumper.add_representer(str, _represent_text)


def dump_yaml(document: Any) -> str:
    """A document as YAML that `load` reads as the same: block style, keys in order, UTF-8."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def dump_json(document: Any) -> bytes:
    """A document as JSON, indented by two, keys in order."""
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode()
