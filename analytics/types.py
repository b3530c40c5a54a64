"""Values of analytics that cross its border."""

from typing import Final

STREAM_COUNTS: Final = "stream_counts"  # the reader that counts events per stream
