"""Why a record, or one rule's part of it, is a dead letter: an error's reason and detail.

An error that nobody foresaw is a fault of push-services. It becomes a dead letter like any other,
since ending the process instead would bring the record back and block its partition for good; the
breaker stops the worker where it happens again and again.
"""

from pathlib import Path
from typing import NamedTuple

from schemas.errors import InvalidEvent, PushError, RenderFailed
from schemas.vocabulary import DeadLetterReason

_FOUR = Path(__file__).parents[1]


class Fault(NamedTuple):
    """What a dead letter says; `detail` holds no field's value."""

    reason: DeadLetterReason
    detail: str


def fault(error: Exception) -> Fault:
    """Return what a dead letter says about an error; raise what is none.

    That is what is waited for, what is fatal, and a machine without memory.
    """
    if isinstance(error, InvalidEvent):
        return Fault(error.reason, str(error))
    if isinstance(error, RenderFailed):
        return Fault(DeadLetterReason.RENDER_FAILED, str(error))
    if isinstance(error, PushError | MemoryError):
        raise error
    return Fault(DeadLetterReason.INTERNAL, f"{type(error).__name__} at {_place(error)}")


def _place(error: Exception) -> str:
    """Return the innermost of our own lines; never the error's text, which may hold a value."""
    place, trace = "an unknown place", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(_FOUR) and "site-packages" not in file.relative_to(_FOUR).parts:
            place = f"{file.relative_to(_FOUR)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
