"""How many examples a property is tried with, in proportion to the profile that is in force."""

from typing import Any

from hypothesis import settings


def examples(times: float, **more: Any) -> settings:
    """Return settings for so many times the profile's number of examples, one at least.

    A plain number would be the same in `make quick` as in `make test`.
    """
    profile = settings.default
    assert profile is not None  # conftest has loaded one
    return settings(max_examples=max(1, round(times * profile.max_examples)), **more)
