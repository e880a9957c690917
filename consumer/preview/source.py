"""Where a preview's event comes from: a file in the plain JSON view, or a status' example."""

import json
from pathlib import Path

from schemas.errors import InvalidEvent, InvalidInput
from schemas.events import PaymentEvent, PaymentFileRejected
from schemas.example_events import example_events
from schemas.fields import event_from_plain
from schemas.vocabulary import EventType, PaymentStatus


def event_of_file(path: Path) -> PaymentEvent:
    """Read an event as domain.md section 4 shows them, or raise `InvalidInput`.

    One that has a `status` is an update, any other a refused file.
    """
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput([f"{path}: cannot be read ({type(error).__name__})"]) from None
    if not isinstance(plain, dict):
        raise InvalidInput([f"{path}: must be one JSON object"])
    is_update = "status" in plain
    event_type = EventType.PAYMENT_STATUS_UPDATED if is_update else EventType.PAYMENT_FILE_REJECTED
    try:
        return event_from_plain(event_type, plain)
    except InvalidEvent as error:
        raise InvalidInput([f"{path}: {error}"]) from None


def event_of_status(status: str) -> PaymentEvent:
    """Return the example of a status; that of KON_REJECTED is a refused file."""
    for event in example_events():
        is_refused = isinstance(event, PaymentFileRejected) and event.file_id is not None
        if status == (event.routing.status or (PaymentStatus.KON_REJECTED if is_refused else "")):
            return event
    known = ", ".join(PaymentStatus)
    raise InvalidInput([f"--status: {status!r} is not known; allowed are {known}"])
