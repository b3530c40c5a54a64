"""Answers that are made part by part, off the event loop."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async


async def in_parts(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same parts, each made in a thread when the last has been sent."""
    step = sync_to_async(lambda: next(parts, None))
    while (part := await step()) is not None:
        yield part
