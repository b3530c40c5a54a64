"""Template tags of the parts that pages share: one tag each, one markup each."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from portal.http import drawing, words

register = template.Library()

STATE_WORDS: Final = {
    "fine": "fine",
    "care": "needs care",
    "failing": "failing",
    "unknown": "not measured",
}
LIFECYCLES: Final = {
    "draft": ("life-draft", "", "Draft"),
    "proposed": ("life-review", "c-petrol", "Proposed"),
    "active": ("life-live", "c-ok", "Active"),
    "deprecated": ("life-dep", "c-warn", "Deprecated"),
    "retired": ("life-ret", "", "Retired"),
    "discovered": ("life-draft", "c-petrol", "Discovered"),
}
CLASSIFICATIONS: Final = {
    "public": ("cls-1", "", "Public"),
    "internal": ("cls-1", "", "Internal"),
    "personal": ("shield", "pii", "Personal"),
    "sensitive": ("shield-f", "pii", "Sensitive"),
}
PERMISSIONS: Final = {
    "discover": "know of it",
    "read_payload": "read, personal fields masked",
    "read_personal": "read, personal fields in clear",
    "publish": "publish",
    "edit": "edit",
    "approve": "approve",
    "administer": "administer",
}
TIERS: Final = {
    "T1": "Tier 1: critical",
    "T2": "Tier 2: important",
    "T3": "Tier 3: best effort",
}


class TrustPart(Protocol):
    """One of the five signals as pages show it."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...


class TrustLike(Protocol):
    @property
    def word(self) -> str: ...

    @property
    def parts(self) -> Sequence[TrustPart]: ...


@register.simple_tag
def icon(name: str, css: str = "s") -> SafeString:
    """An icon of the sprite. It never stands alone without a label."""
    return format_html(
        '<svg class="i {}" aria-hidden="true"><use href="{}#i-{}"/></svg>',
        css,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def stream_name(name: str, *, link: bool = True, marked: Sequence[str] = ()) -> SafeString:
    """A stream's name: domain in grey, the rest bold, breakable after dots and underscores.

    Words that were looked for are marked.
    """
    head, _, tail = name.rpartition(".")
    domain = format_html("<i>{}</i><wbr>", _marked(head + ".", marked)) if head else ""
    parts = format_html_join(
        mark_safe("<wbr>"), "{}", ((_marked(part, marked),) for part in _pieces(tail))
    )
    if link:
        return format_html('<a class="sn" href="/streams/{}/">{}{}</a>', name, domain, parts)
    return format_html('<span class="sn">{}{}</span>', domain, parts)


@register.simple_tag
def marked(text: str, words: Sequence[str]) -> SafeString:
    """A text with the words that were looked for marked."""
    return _marked(text, words)


def _marked(text: str, words: Sequence[str]) -> SafeString:
    if not words:
        return format_html("{}", text)
    parts = re.split(f"({'|'.join(map(re.escape, words))})", text, flags=re.IGNORECASE)
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<mark>{}</mark>", part) if place % 2 else part,)
            for place, part in enumerate(parts)
        ),
    )


def _pieces(text: str) -> list[str]:
    pieces = text.split("_")
    return [piece + "_" for piece in pieces[:-1]] + pieces[-1:]


@register.simple_tag
def trust_mark(trust: TrustLike | None, *, word: bool = True) -> SafeString:
    """The five pips with their word. Nothing measured yet draws five dashed pips."""
    if trust is None:
        states: list[tuple[str, str]] = [
            (name, "unknown") for name in ("Owned", "Stable", "Fresh", "Clean", "Cleared")
        ]
        said = "Unproven"
    else:
        states = [(part.name, str(part.state)) for part in trust.parts]
        said = trust.word
    title = f"{said}: " + ", ".join(f"{name.lower()} {STATE_WORDS[s]}" for name, s in states)
    pips = format_html_join(
        "",
        "{}",
        ((drawing.trust_pip(state, index * 9),) for index, (_, state) in enumerate(states)),
    )
    return format_html(
        '<span class="trust{}"><svg viewBox="0 0 44 16" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg><span>{}</span></span>",
        "" if word else " no-word",
        title,
        title,
        pips,
        said,
    )


@register.simple_tag
def trust_pip(state: str) -> SafeString:
    """One pip alone, without a word: fine, care, failing or unknown."""
    return format_html(
        '<span class="trust no-word"><svg viewBox="0 0 6 16" width="6" height="16"'
        ' aria-hidden="true" class="one">{}</svg></span>',
        drawing.trust_pip(str(state)),
    )


@register.simple_tag
def lifecycle(value: str) -> SafeString:
    name, css, text = LIFECYCLES[str(value)]
    return format_html('<span class="b plain {}">{}<span>{}</span></span>', css, _i(name), text)


@register.simple_tag
def classification(value: str) -> SafeString:
    name, css, text = CLASSIFICATIONS[str(value)]
    return format_html('<span class="b {}">{}{}</span>', css, _i(name), text)


@register.simple_tag
def tier(value: str) -> SafeString:
    return format_html('<span class="b line" title="{}">{}</span>', TIERS[str(value)], value)


def _i(name: str) -> SafeString:
    return icon(name, "")


@register.simple_tag
def avatar(name: str, *, team: bool = True) -> SafeString:
    """Two letters of a team or person, beside the full name."""
    letters = "".join(word[0] for word in name.split()[:2]) if " " in name else name[:2]
    return format_html(
        '<span class="av{}" aria-hidden="true">{}</span>', " team" if team else "", letters.upper()
    )


@register.simple_tag
def moment(at: datetime | None, *, clock: bool = False) -> SafeString:
    """A time as people read it, with the exact UTC time in `datetime` and `title`."""
    if at is None:
        return mark_safe("never")
    exact = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    shown = f"{at:%H:%M:%S}" if clock else words.ago(at)
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, shown)


@register.simple_tag
def since(at: datetime) -> SafeString:
    """A time as it stands after "since", with the exact UTC time in `datetime` and `title`."""
    exact = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, words.since(at)
    )


@register.simple_tag
def sparkline(values: Sequence[float | None], *, bad: bool = False) -> SafeString:
    """A line of values over their own range from zero; None is drawn as 0."""
    return drawing.sparkline(values, bad=bad)


@register.simple_tag
def strip(states: Sequence[str], label: str) -> SafeString:
    """One bar a period: ok, warn, bad or none."""
    return drawing.strip(states, label)


@register.simple_tag
def quality_grid(states: Sequence[str], label: str) -> SafeString:
    """Days of one check, oldest first: ok, warn, bad or none."""
    return drawing.quality_grid(states, label)


@register.simple_tag
def gauge(ratio: float, label: str, kind: str = "s1", start: float = 0.0) -> SafeString:
    """A share of 0 to 1, from `start` (0 to 1) on."""
    return drawing.gauge(ratio, label, kind, start)


@register.filter
def number(value: float | None) -> str:
    """`{{ n|number }}`: 9,999 in full, then 402 k, 4.21 M; a dash for None."""
    return words.number(value)


@register.filter
def share(value: float | None, digits: int = 2) -> str:
    """`{{ ratio|share }}`: a share of 0 to 1 in percent; a dash for None."""
    return words.share(value, digits)


@register.filter
def figure(text: str) -> SafeString:
    """A large figure with its unit set small: `{{ n|number|figure }}`."""
    value, _, unit = text.partition(words.NBSP)
    return format_html("{}<small>{}</small>", value, unit) if unit else format_html("{}", value)


@register.filter
def change(value: float) -> str:
    """A relative change with its direction: ↑ 3 %, ↓ 12 %."""
    arrow = "↑" if value > 0 else "↓" if value < 0 else "±"
    return f"{arrow}{words.NBSP}{words.share(abs(value), 0)}"


@register.filter
def duration(value: float | None) -> str:
    """`{{ seconds|duration }}`: <1 s, 42 s, 3 min, 2 h, 5 days; a dash for None."""
    return words.duration(value)


@register.filter
def took(value: float | None) -> str:
    """`{{ seconds|took }}`: <1 ms, 42 ms, 2.1 s; a dash for None."""
    return words.took(value)


@register.filter
def ago(value: datetime | None) -> str:
    """`{{ at|ago }}`: 3 min ago, in 3 h, 15 Nov; never for None."""
    return words.ago(value)


@register.filter
def day(value: datetime | None) -> str:
    """`{{ at|day }}`: 15 Nov, with the year when it is another one; never for None."""
    return words.day(value) if value else "never"


@register.filter
def permission(value: str) -> str:
    """What a grant lets its holder do, in words."""
    return PERMISSIONS.get(str(value), str(value))


@register.filter
def role(value: str) -> str:
    """A role as people say it: product_manager is Product manager."""
    return words.capitalized(str(value).replace("_", " ")).replace("On call", "On-call")


@register.filter
def size(count: float) -> str:
    """`{{ bytes|size }}`: 812 kB, 1.4 GB."""
    return words.size(count)


@register.filter
def plural(count: int, nouns: str) -> str:
    """`{{ n|plural:"stream" }}` or `{{ n|plural:"entry,entries" }}`."""
    one, _, many = nouns.partition(",")
    return words.plural(count, one, many)


@register.filter
def counted(count: int, nouns: str) -> str:
    """`{{ n|counted:"stream" }}`: small counts are words, for sentences."""
    one, _, many = nouns.partition(",")
    return words.counted(count, one, many)


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    """The value of a key that is itself a variable; None without one."""
    return mapping.get(key)


@register.simple_tag
def json_code(
    value: object, faults: Iterable[str] = (), masked: str = "", css: str = ""
) -> SafeString:
    """JSON as a code block, coloured by class.

    Values at the JSON Pointers of `faults` are marked as wrong, or with `css="good"` as put right;
    those that are the mask as personal.
    """
    return format_html(
        '<pre class="code{}" tabindex="0">{}</pre>',
        f" {css}" if css else "",
        _json(value, "", 0, frozenset(faults), masked),
    )


def _json(
    value: object, pointer: str, depth: int, faults: frozenset[str], masked: str
) -> SafeString:
    body: SafeString
    if isinstance(value, Mapping) and value:
        body = _members(
            "{}",
            (
                format_html(
                    '<bdi class="k">{}</bdi>: {}',
                    json.dumps(str(key), ensure_ascii=False),
                    _json(item, f"{pointer}/{_escape(str(key))}", depth + 1, faults, masked),
                )
                for key, item in value.items()
            ),
            depth,
        )
    elif isinstance(value, list) and value:
        body = _members(
            "[]",
            (
                _json(item, f"{pointer}/{i}", depth + 1, faults, masked)
                for i, item in enumerate(value)
            ),
            depth,
        )
    else:
        if isinstance(value, datetime):
            value = value.isoformat().replace("+00:00", "Z")
        text = json.dumps(value, ensure_ascii=False, default=str)
        if isinstance(value, str):  # its direction is its own: what follows stays where it is
            body = format_html('<bdi class="s">{}</bdi>', text)
        else:
            body = format_html('<span class="d">{}</span>', text)
        if masked and value == masked:
            return format_html('<mark class="pii">{}</mark>', body)
    return format_html("<mark>{}</mark>", body) if pointer and pointer in faults else body


def _members(brackets: str, members: Iterable[SafeString], depth: int) -> SafeString:
    pad = "  " * (depth + 1)
    inner = format_html_join(",\n", "{}{}", ((pad, member) for member in members))
    return format_html("{}\n{}\n{}{}", brackets[0], inner, "  " * depth, brackets[1])


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


@register.simple_tag(takes_context=True)
def with_query(context: template.Context, **changes: object) -> str:
    """The present query string with some parameters set or (None) dropped."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = str(value)
    return f"?{query.urlencode()}" if query else "?"
