"""A browser in words, out of its User-Agent header: which, and on what."""

import re
from typing import Final

# The first that is found is meant: those that pretend to be another stand before it.
_BROWSERS: Final = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/|\bOpera\b"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Vivaldi", r"\bVivaldi/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:HeadlessChrome|Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bSafari/"),
)
_MACHINES: Final = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("macOS", r"\bMacintosh\b|\bMac OS X\b"),
    ("Linux", r"\bLinux\b|\bX11\b"),
)
UNKNOWN: Final = "An unknown browser"


def in_words(agent: str) -> str:
    """`Firefox on Linux`; of what is not known nothing is repeated, as it is the sender's text."""
    browser = _first(_BROWSERS, agent)
    machine = _first(_MACHINES, agent)
    if browser and machine:
        return f"{browser} on {machine}"
    return browser or (f"{UNKNOWN} on {machine}" if machine else UNKNOWN)


def _first(known: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for name, pattern in known if re.search(pattern, agent[:512])), "")
