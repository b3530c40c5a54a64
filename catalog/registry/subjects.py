"""Subjects: what a registry client calls a stream.

1. The default context may be written in front (`:.:orders`) and is dropped.
2. A stream's name or alias is a subject; with `-value` behind it, it is the same subject.
3. Any other text names a stream to come: its own name where it is one of the house (`-value`
   dropped), else what `naming.from_outside` makes of the whole text, kept as an alias.

`<stream>-key` is nothing special: the schema of keys is a stream of its own.
"""

from typing import Final

from catalog import naming
from catalog.registry.errors import invalid_subject
from portal.kernel.errors import InvalidError

VALUE: Final = "-value"
_DEFAULT_CONTEXT: Final = ":.:"
_ANY_CONTEXT: Final = ":*:"


def read_subject(text: str) -> str:
    """The subject as it is kept and looked up; raises RegistryError for what cannot be one."""
    subject = text.removeprefix(_DEFAULT_CONTEXT)
    if (
        not subject
        or len(subject) > naming.MAX_ALIAS
        or not subject.isprintable()
        or subject.startswith(":")
    ):
        raise invalid_subject(text)
    return subject


def read_prefix(text: str) -> str:
    """The prefix that subjects are listed by: the only context there is may be named in front."""
    return text.removeprefix(_DEFAULT_CONTEXT).removeprefix(_ANY_CONTEXT)


def names_of(subject: str) -> tuple[str, ...]:
    """The names and aliases under which the subject's stream is looked for, best first."""
    base = subject.removesuffix(VALUE)
    return (subject,) if base in (subject, "") else (subject, base)


def spellings_of(subject: str) -> tuple[str, ...]:
    """Every text that means the same subject, once a stream stands behind it."""
    base = subject.removesuffix(VALUE) or subject
    return (base, base + VALUE)


def new_name(subject: str, *, domain: str) -> str:
    """The name of the stream that a first registration makes, before clashes are settled."""
    base = subject.removesuffix(VALUE)
    if len(base) <= naming.MAX_NAME and naming.STREAM_NAME.fullmatch(base):
        return base
    try:
        return naming.from_outside(subject, domain=domain)
    except InvalidError as error:
        raise invalid_subject(subject) from error
