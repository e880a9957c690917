"""Whose record a dead letter is, as far as it can be read."""

from collections.abc import Mapping
from dataclasses import dataclass

from consumer.faults import fault
from consumer.letters.reading import Letter
from schemas.codec import Codec
from schemas.events import Routing
from schemas.vocabulary import EventType


@dataclass(frozen=True, slots=True)
class Peeking:
    """Reads the routing fields of a letter's record; `event_types` is by input topic."""

    codec: Codec
    event_types: Mapping[str, EventType]

    def routing(self, letter: Letter) -> Routing | None:
        """Return the routing fields, or None where they cannot be read.

        Raise `RegistryUnavailable` where a writer schema could not be asked for.
        """
        event_type = self.event_types.get(letter.origin.topic)
        if event_type is None or letter.value is None:
            return None
        try:
            return self.codec.peek(event_type, letter.record)
        except Exception as error:  # noqa: BLE001  whatever made it a dead letter may do so again
            fault(error)  # raises what is no fault of the record
            return None

    def tenant(self, letter: Letter) -> str | None:
        """Return the tenant's id, or None where it cannot be read."""
        routing = self.routing(letter)
        return None if routing is None else routing.tenant_id
