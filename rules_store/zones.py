"""Which texts name a time zone."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def is_zone(text: str) -> bool:
    """Say whether the text is the name of an IANA time zone that this machine knows."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        return False
    return True
