"""The consumer: what is ours, what may be read of it, and the records that it hands out.

Rebalance callbacks run inside `collect` and `close` alone. A partition that is assigned is paused
at once and taken over beside the loop (`restorer`); then it is sought to the place that was found,
and resumed. Until then it is assigned at offset 0, from which no record is read: at its beginning
the client would ask where that is, and an answer that comes after the seek would overrule it.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from consumer.kafka_errors import PLACE_LOST, consumer_meaning, meaning
from consumer.kafka_records import record_of
from consumer.partitions import Partitions, gone_back
from consumer.ports import Copy
from consumer.restorer import Ended, Restorer
from schemas.errors import Fatal, KafkaUnavailable
from schemas.records import Batch, Lost, Place, Record

logger = logging.getLogger(__name__)

POLL = 0.5  # seconds; bounds how long a stop request is not seen
POLL_WHILE_TAKING_OVER = 0.02  # seconds; bounds how long a partition taken over is not resumed
ASK = 10.0  # seconds for committed offsets
NOT_ASKED_FOR = 0  # an offset that the client takes as it is


class Reading:
    """Reads as a member of a group."""

    def __init__(
        self,
        new_consumer: Callable[[], Consumer],
        topics: Sequence[str],
        restorer: Restorer,
        copy: Copy,
        reached: dict[Place, int],
        *,
        most: int,
        wait: float,
        ahead: int = 0,
    ) -> None:
        """Make no client yet; a batch is full with `most` records or after `wait` seconds.

        Where it is full, what waits already is collected with it, up to `ahead` records in all.
        `reached` is told how far each partition is settled.
        """
        self._new_consumer = new_consumer
        self._joined: Consumer | None = None
        self._topics = list(topics)
        self._restorer = restorer
        self._copy = copy
        self._reached = reached
        self._most = most
        self._wait = wait
        self._ahead = ahead
        self._partitions = Partitions()
        self._held: Ended | None = None  # a take-over that has ended and could not be applied yet
        self._lost: dict[Place, Lost] = {}  # found, and told in the next batch
        self._new: dict[Place, int] = {}  # begun without an offset, and settled with the next batch
        self._next: dict[Place, int] = {}  # the least offset that may come
        self._member: str | None = None  # our name in the group when the records were read
        self.assigned = False  # a group was joined once

    @property
    def _consumer(self) -> Consumer:
        if self._joined is None:
            self._joined = self._new_consumer()
            self._joined.subscribe(
                self._topics,
                on_assign=self._on_assign,
                on_revoke=self._on_gone,
                on_lost=self._on_gone,
            )
        return self._joined

    def collect(self) -> Batch:
        """Return what waits and may be read.

        If it raises, what it had read already comes again after `take_over_all` only.
        """
        self._partitions.begin_collecting()
        self._apply_take_overs()
        patience = self._patience(self._lost_and_ours())
        first = self._consumer.poll(patience)  # back with a record; consume takes long
        records = self._records([first] if first is not None else [])
        if first is not None:  # a rebalance may run in here:
            records += self._records(self._consumer.consume(self._most - 1, self._wait))
            if len(records) == self._most < self._ahead:
                more = self._ahead - self._most
                records += self._records(self._consumer.consume(more, 0.0))
            records = self._partitions.kept(records)  # what it took from us is dropped
        self._member = self._consumer.memberid()
        return self._in_order(Batch(tuple(records), self._lost_and_ours()))

    def _in_order(self, batch: Batch) -> Batch:
        """Drop the records of partitions that the client has gone back in, and take those over."""
        back = gone_back(batch, self._next)
        if back:
            logger.warning("client_went_back", extra={"partitions": [_name(*p) for p in back]})
            self.take_over(back)
            batch = Batch(tuple(self._partitions.kept(batch.records)), self._lost_and_ours())
        for place, _, end in batch.runs:
            self._next[place] = batch.records[end - 1].offset + 1
        return batch

    def _patience(self, lost: Collection[Lost]) -> float:
        if lost:
            return 0.0
        return POLL if self._partitions.all_readable else POLL_WHILE_TAKING_OVER

    def _records(self, messages: Sequence[Message]) -> list[Record]:
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(record_of(message))
            else:
                self._look_at(error, Place(message.topic() or "", message.partition() or 0))
        return self._partitions.kept(records)

    def _look_at(self, error: KafkaError, place: Place) -> None:
        """Do what the consumer's error asks for; most are nothing but news."""
        fault = consumer_meaning(error)
        if fault is not None:
            raise fault
        logger.warning("kafka_consumer_error", extra={"kafka_error": error.name()})
        if error.code() in PLACE_LOST:
            self.take_over(self._partitions.readable([place]))

    # --- partitions come and go -------------------------------------------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.assigned = True
        logger.info("partitions_assigned", extra={"partitions": _names(partitions)})
        consumer.incremental_assign(
            [TopicPartition(p.topic, p.partition, NOT_ASKED_FOR) for p in partitions]
        )
        self.take_over([Place(p.topic, p.partition) for p in partitions])

    def _on_gone(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        places = [Place(p.topic, p.partition) for p in partitions]
        self._partitions.let_go(places)
        self._forget(places)
        logger.info("partitions_revoked", extra={"partitions": _names(partitions)})

    def take_over(self, places: Collection[Place]) -> None:
        """Read no more of these until their place and their settled ids are known again."""
        if not places:
            return
        self._consumer.pause([TopicPartition(*place) for place in places])
        self._forget(places)
        self._restorer.begin(self._partitions.take_over(places))

    def take_over_all(self) -> None:
        """Do so with all that we read from."""
        self.take_over(self._partitions.readable(self._owned()))

    def _owned(self) -> Collection[Place]:
        return {Place(p.topic, p.partition) for p in self._consumer.assignment()}

    def _forget(self, places: Collection[Place]) -> None:
        self._copy.forget(places)
        for place in places:
            self._lost.pop(place, None)
            self._new.pop(place, None)
            self._next.pop(place, None)

    def _apply_take_overs(self) -> None:
        if self._held is not None:
            self._apply(self._held)
        for ended in self._restorer.ended():
            self._apply(ended)

    def _apply(self, ended: Ended) -> None:
        self._held = ended
        place, number, found = ended
        if self._partitions.is_awaited(place, number):
            self._go_to(TopicPartition(*place, found.position))
            self._next[place] = found.position
            self._copy.restore(place, found.ids, found.ids_since)
            if found.lost is not None:
                self._lost[place] = found.lost
            if found.is_new:
                self._new[place] = found.position
            self._partitions.taken_over(place)
            self._consumer.resume([TopicPartition(*place)])
            fields = {"partition": _name(*place), "offset": found.position}
            logger.info("partition_taken_over", extra=fields | {"ids": len(found.ids)})
            if found.unbelieved is not None:  # reset by somebody, or forgotten by a broker
                logger.warning("place_not_believed", extra=fields | {"committed": found.unbelieved})
        self._held = None

    def _go_to(self, place: TopicPartition) -> None:
        """Read on from there, also where the client has given the partition up."""
        try:
            self._consumer.seek(place)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE:
                raise
            self._consumer.incremental_unassign([place])  # its place was lost: it needs a new start
            self._consumer.incremental_assign([place])

    # --- what was read, and what is settled of it -------------------------------------------------

    def _lost_and_ours(self) -> tuple[Lost, ...]:
        return tuple(self._lost.values())

    def ends(self, batch: Batch) -> Mapping[Place, int]:
        """Return the offsets to commit with a batch: also those of partitions without any yet."""
        return self._new | batch.ends() if self._new else batch.ends()

    def settled(self, batch: Batch) -> None:
        """Note that a batch was settled, with `ends`."""
        self._reached |= self.ends(batch)
        self._new.clear()
        for gap in batch.lost:
            logger.error("records_lost", extra=gap._asdict())
            self._lost.pop(Place(gap.topic, gap.partition), None)

    def rewind(self, starts: Mapping[Place, int], *, in_doubt: bool) -> None:
        """Read on from where the broker says we are, whatever became of the last transaction.

        `starts` says where a batch began. In doubt, its partitions are taken over afresh; so are
        those whose committed place is lost, since nobody can read on from there, those whose place
        is said to lie before what is settled, and all of them where the client is told nothing.
        """
        owned = self._owned()
        ours = [place for place in self._partitions.readable(starts) if place in owned]
        if not ours:
            return
        afresh = {place for place in ours if in_doubt or place in self._lost}
        try:
            afresh |= self._seek_to_committed(ours, starts)
        except KafkaException as error:
            if isinstance(meaning(error.args[0]), Fatal):
                raise
            # A client that its group has dropped asks in vain for ever: only polling lets it join
            # anew. A take-over asks beside the loop, as nobody's member.
            afresh = set(ours)
        self.take_over(afresh)

    def _seek_to_committed(self, ours: Sequence[Place], starts: Mapping[Place, int]) -> set[Place]:
        """Return those whose answer cannot be true."""
        doubtful = set()
        for answer in self._consumer.committed([TopicPartition(*place) for place in ours], ASK):
            if answer.error is not None:
                raise KafkaException(answer.error)
            place = Place(answer.topic, answer.partition)
            offset = answer.offset if answer.offset >= 0 else starts[place]
            if answer.offset < self._reached.get(place, answer.offset):
                doubtful.add(place)
            elif place not in self._lost:
                self._consumer.seek(TopicPartition(*place, offset))
                self._next[place] = offset
        return doubtful

    def group(self) -> object:
        """Return what a transaction must know of the group, as it is now.

        Raise `KafkaUnavailable` where the group has dropped the member that read the records: a
        client without a group says so with no member's name, and then a broker would ask nothing.
        """
        group = self._consumer.consumer_group_metadata()
        if not self._member or self._consumer.memberid() != self._member:
            raise KafkaUnavailable("Kafka: the group has dropped this member")
        return group

    def close(self) -> None:
        """Leave the group."""
        self._restorer.close()
        if self._joined is None:
            return
        try:
            self._joined.close()
        except (KafkaException, RuntimeError) as error:
            logger.warning("close_failed", extra={"error_type": type(error).__name__})


def _name(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"


def _names(partitions: Sequence[TopicPartition]) -> list[str]:
    return [_name(p.topic, p.partition) for p in partitions]
