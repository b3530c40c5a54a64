from analytics.models.rollups import ReaderOffset, StreamCount

__all__ = ["ReaderOffset", "StreamCount"]
