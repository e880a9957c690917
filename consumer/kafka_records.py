"""The client's messages as records: no foreign type gets past the door."""

from confluent_kafka import Message

from schemas.records import Headers, Record


def record_of(message: Message) -> Record:
    """Return a message that is no error as a record."""
    headers = message.headers()
    return Record(
        message.topic(),  # type: ignore[arg-type]  # a record without an error has all of these
        message.partition(),  # type: ignore[arg-type]
        message.offset(),  # type: ignore[arg-type]
        message.timestamp()[1],
        message.key(),
        message.value(),
        _pairs(headers) if headers else (),
    )


def _pairs(given: list[tuple[str, str | bytes | None]] | dict[str, str | bytes | None]) -> Headers:
    pairs = given.items() if isinstance(given, dict) else given
    return tuple((n, v.encode() if isinstance(v, str) else v) for n, v in pairs)
