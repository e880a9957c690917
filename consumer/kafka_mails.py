"""The outgoing-mail topic as a replay reads it, and how far `deliver` has settled it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from consumer.kafka_letters import KafkaDeadLetters
from consumer.kafka_questions import KafkaQuestions
from schemas.records import Place, Record


@dataclass(frozen=True, slots=True)
class KafkaMails:
    """A `MailTopic`; the questions are those of the group of `deliver`."""

    reader: KafkaDeadLetters
    questions: KafkaQuestions

    def records_between(self, since: datetime, known: Mapping[int, int]) -> Iterator[Record]:
        """Yield records; see `MailTopic`."""
        return self.reader.records_between(since, known)

    def taken_until(self, place: Place) -> int:
        """Return the group's settled offset; 0 where it has settled nothing."""
        return self.questions.committed([place])[place] or 0
