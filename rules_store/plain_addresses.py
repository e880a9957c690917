"""Addresses that are good at a glance, since email-validator takes half a millisecond for one."""

import re

# Fewer than `parse_address` takes, and each of them as it stands: domains of lower-case labels
# without any "--", which begins an A-label, the last one of letters.
_SHAPE = re.compile(
    r"[A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*+@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)+[a-z]{2,}"
).fullmatch
#: Reserved by RFC 6761 and others: email-validator refuses most of them.
_RESERVED = (".arpa", ".invalid", ".local", ".localhost", ".onion", ".test")
_LONGEST = 63  # characters: no part can then be too long


def is_plain(text: str) -> bool:
    """Say whether `parse_address` returns the very same text; in doubt it is asked."""
    return len(text) <= _LONGEST and bool(_SHAPE(text)) and not text.endswith(_RESERVED)
