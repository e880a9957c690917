"""Taking a partition over: the order of the questions, and where to read on.

The broker here is a script: what it holds changes between two questions, as it does where a
predecessor's transaction is decided while its successor asks.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from consumer.restoring import (
    DOUBTED_FOR,
    Bounds,
    Restoring,
    Start,
    TakenOver,
    newest,
    read_start,
)
from schemas.errors import InvalidInput, KafkaUnavailable, OffsetsLost
from schemas.records import Lost, Place
from schemas.repeats import key_of, value_of

HERE = Place("in", 3)
HELD = Bounds(0, 20)


@dataclass
class Broker:
    """Answers `Questions` about one partition; `before` happens before a question is answered."""

    offset: int | None = 10
    held: Bounds = HELD
    repeats: list[tuple[bytes, bytes, bool]] = field(default_factory=list)  # key, value, committed
    evaluates: bool = False
    until: int | None = None  # the end of the last evaluation
    before: dict[str, Callable[["Broker"], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _ask(self, question: str) -> None:
        self.asked.append(question)
        happens = self.before.pop(question, None)
        if happens is not None:
            happens(self)

    def committed(self, places: Collection[Place]) -> Mapping[Place, int | None]:
        self._ask("committed")
        return dict.fromkeys(places, self.offset)

    def bounds(self, places: Collection[Place]) -> Mapping[Place, Bounds]:
        self._ask("bounds")
        return dict.fromkeys(places, self.held)

    def ends_of_repeats(self, partitions: Collection[int]) -> Mapping[int, Bounds]:
        self._ask("ends")
        return dict.fromkeys(partitions, Bounds(0, len(self.repeats)))

    def settled(self, spans: Mapping[int, Bounds]) -> Iterator[tuple[int, bytes, bytes]]:
        self._ask("settled")  # waits for markers: what lies in the span is decided from here on
        for partition, span in spans.items():
            for key, value, is_committed in self.repeats[span.first : span.end]:
                if is_committed:
                    yield partition, key, value

    def evaluated(self, places: Collection[Place]) -> Collection[Place]:
        self._ask("evaluated")
        return places if self.evaluates else ()

    def evaluated_until(self, places: Collection[Place]) -> Mapping[Place, int]:
        self._ask("evaluated until")
        return {} if self.until is None else dict.fromkeys(places, self.until)


def entry(identity: str, offset: int, *, topic: str = "in") -> tuple[bytes, bytes, bool]:
    return key_of(topic, "m-1", identity), value_of(offset, 1_000), True


@dataclass
class Asking:
    """A take-over that is tried again and again, on a clock of its own."""

    broker: Broker
    start: Start | None = None
    limit: int = 100
    reached: dict[Place, int] = field(default_factory=dict)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.restoring = Restoring(
            self.broker,
            self.limit,
            self.start,
            remembers=True,
            reached=self.reached,
            seconds=lambda: self.now,
        )

    def taken_over(self, after: float = 0.0) -> TakenOver:
        self.now += after
        return dict(self.restoring.take_over([HERE]))[HERE]

    def doubts(self) -> bool:
        """Say whether the answer is not believed at once."""
        try:
            self.taken_over()
        except KafkaUnavailable as error:
            return "in/3" in str(error)
        return False


def taken_over(broker: Broker, *, start: Start | None = None, limit: int = 100) -> TakenOver:
    return Asking(broker, start, limit).taken_over()


def first_of(found: TakenOver, identity: str) -> int | None:
    at = found.ids.get(key_of("in", "m-1", identity))
    return None if at is None else at[0]


def test_what_was_settled_comes_back() -> None:
    found = taken_over(Broker(repeats=[entry("a", 4), entry("b", 7)]))

    assert (found.position, first_of(found, "a"), first_of(found, "b")) == (10, 4, 7)


def test_another_topics_ids_in_the_same_partition_stay_out() -> None:
    found = taken_over(Broker(repeats=[entry("a", 4, topic="other")]))

    assert len(found.ids) == 0


def test_a_transaction_that_commits_while_the_offset_is_asked_for_is_restored_too() -> None:
    # Failed when the topic's end was asked for before the committed offset: the ids of a
    # predecessor's last transaction lay behind that end, and its events would be mailed twice.
    def commit(broker: Broker) -> None:
        broker.repeats.append(entry("late", 9))
        broker.offset = 10

    found = taken_over(Broker(offset=5, before={"committed": commit}))

    assert (found.position, first_of(found, "late")) == (10, 9)


def test_a_transaction_whose_marker_is_still_on_its_way_is_restored_too() -> None:
    # Failed when the end was the last stable offset, which is what a read_committed reader's own
    # question shows: the record lies before the high watermark and behind the stable offset.
    key, value, _ = entry("being marked", 9)

    def mark(broker: Broker) -> None:
        broker.repeats[-1] = key, value, True

    found = taken_over(Broker(repeats=[(key, value, False)], before={"settled": mark}))

    assert first_of(found, "being marked") == 9


def test_offsets_that_retention_took_are_lost_and_the_rest_goes_on() -> None:
    found = taken_over(Broker(offset=10, held=Bounds(15, 20)))

    assert (found.position, found.lost) == (15, Lost("in", 3, 10, 14))


def test_nothing_is_lost_where_the_earliest_is_the_place() -> None:
    assert taken_over(Broker(offset=15, held=Bounds(15, 20))).lost is None


@pytest.mark.parametrize("offset", [7, 2])
def test_a_place_that_stays_before_what_was_settled_is_not_believed(offset: int) -> None:
    # Seen: a broker that was started again answered with offsets of minutes ago until somebody
    # committed anew, and all was evaluated again.
    broker = Broker(offset=offset, repeats=[entry("b", 7), entry("a", 4)], until=9)
    asking = Asking(broker)

    assert asking.doubts()
    found = asking.taken_over(after=DOUBTED_FOR)
    assert (found.position, found.unbelieved) == (9, offset)


def test_where_no_evaluation_tells_more_the_last_mail_says_where_to_go_on() -> None:
    asking = Asking(Broker(offset=2, repeats=[entry("b", 7)]))

    assert asking.doubts()
    assert asking.taken_over(after=DOUBTED_FOR).position == 8


def test_an_evaluation_of_offsets_that_the_partition_has_not_tells_nothing() -> None:
    # Failed when it counted: of a topic made anew, or by a stranger's hand, the worker would have
    # waited behind the partition's end.
    asking = Asking(Broker(offset=2, repeats=[entry("b", 7)], until=21))

    assert asking.doubts()
    assert asking.taken_over(after=DOUBTED_FOR).position == 8


def test_who_wants_to_go_back_says_so() -> None:
    broker = Broker(offset=2, repeats=[entry("b", 7)], until=9)

    found = taken_over(broker, start=read_start("committed"))

    assert (found.position, found.unbelieved, first_of(found, "b")) == (2, None, 7)


def test_going_back_to_what_is_committed_needs_something_committed() -> None:
    asking = Asking(Broker(offset=None, evaluates=True), start=Start("committed"))

    assert asking.doubts()
    with pytest.raises(OffsetsLost):
        asking.taken_over(after=DOUBTED_FOR)


def test_a_place_right_behind_what_was_settled_is_believed_at_once() -> None:
    found = taken_over(Broker(offset=8, repeats=[entry("b", 7), entry("a", 4)]))

    assert (found.position, found.unbelieved) == (8, None)


def test_a_broker_that_is_still_reading_its_log_is_asked_until_it_knows() -> None:
    # Failed when its first answer counted: what had been settled was evaluated once more.
    broker = Broker(offset=2, repeats=[entry("b", 7)])
    asking = Asking(broker)

    assert asking.doubts()
    broker.offset = 9
    assert asking.taken_over(after=0.5).position == 9


def test_a_place_before_what_we_settled_ourselves_is_never_believed() -> None:
    # Nobody can put a group's place back while one of it is at work.
    asking = Asking(Broker(offset=5), reached={HERE: 10})

    assert asking.doubts()
    assert asking.taken_over(after=DOUBTED_FOR).position == 10


def test_what_was_settled_of_a_topic_that_was_made_anew_counts_for_nothing() -> None:
    assert Asking(Broker(offset=5), reached={HERE: 21}).taken_over().position == 5
    assert taken_over(Broker(offset=5, repeats=[entry("a", 20)])).position == 5


def test_others_do_not_wait_for_a_place_that_is_doubted() -> None:
    other = Place("in", 4)
    restoring = Asking(Broker(offset=5), reached={HERE: 10}).restoring

    found = dict(_until_it_raises(restoring.take_over([HERE, other])))

    assert found.keys() == {other}


def _until_it_raises(
    taking: Iterator[tuple[Place, TakenOver]],
) -> Iterator[tuple[Place, TakenOver]]:
    with suppress(KafkaUnavailable):
        yield from taking


def test_a_partition_that_nobody_knows_begins_at_its_earliest() -> None:
    found = taken_over(Broker(offset=None, held=Bounds(2, 20)))

    assert (found.position, found.is_new, found.lost) == (2, True, None)


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param(Broker(offset=None, evaluates=True), id="evaluated before"),
        pytest.param(Broker(offset=None, repeats=[entry("a", 4)]), id="remembered"),
    ],
)
def test_a_partition_that_was_read_before_and_lost_its_place_stops_the_worker(
    broker: Broker,
) -> None:
    asking = Asking(broker)

    assert asking.doubts()
    with pytest.raises(OffsetsLost, match=r"in/3 .*run --from earliest\|latest\|OFFSET"):
        asking.taken_over(after=DOUBTED_FOR)


def test_a_place_behind_a_partitions_end_stops_the_worker_at_once() -> None:
    with pytest.raises(OffsetsLost, match="in/3 ends at 20, but offset 30 was committed"):
        taken_over(Broker(offset=30, held=Bounds(0, 20)))


def test_a_place_that_we_settled_and_nobody_knows_any_more_stops_the_worker() -> None:
    asking = Asking(Broker(offset=None), reached={HERE: 10})

    assert asking.doubts()
    with pytest.raises(OffsetsLost):
        asking.taken_over(after=DOUBTED_FOR)


def test_an_operators_word_waits_until_a_missing_place_stays_away() -> None:
    # Failed when the word was taken at once: with `--from latest`, left where it was needed once, a
    # broker that was still reading its log made a worker step over all that waited.
    asking = Asking(Broker(offset=None, repeats=[entry("a", 4)]), start=Start("latest"))

    assert asking.doubts()
    assert asking.taken_over(after=DOUBTED_FOR).position == 20


@pytest.mark.parametrize(
    ("word", "position"), [("earliest", 2), ("latest", 20), ("12", 12)], ids=str
)
def test_an_operators_word_decides_where_to_go_on(word: str, position: int) -> None:
    broker = Broker(offset=None, held=Bounds(2, 20), evaluates=True)
    asking = Asking(broker, start=read_start(word))

    assert asking.doubts()
    assert asking.taken_over(after=DOUBTED_FOR).position == position


def test_an_operators_word_is_no_matter_where_the_place_is_known() -> None:
    assert taken_over(Broker(offset=10), start=Start("earliest")).position == 10


@pytest.mark.parametrize("word", ["", "first", "-1", "1e3", "٣"])
def test_another_word_is_none(word: str) -> None:
    with pytest.raises(InvalidInput, match="allowed are earliest, latest, committed and an offset"):
        read_start(word)


def test_whether_it_was_evaluated_is_asked_only_where_no_offset_says_so() -> None:
    broker = Broker(offset=10, evaluates=True)

    taken_over(broker)

    assert "evaluated" not in broker.asked


def test_no_more_is_read_than_there_is_room_for_and_the_window_says_so() -> None:
    entries = [entry(str(number), number) for number in range(50)]
    broker = Broker(offset=50, held=Bounds(0, 60), repeats=entries)

    found = taken_over(broker, limit=10)

    assert len(found.ids) == 20  # a marker may lie beside each id
    assert first_of(found, "49") == 49
    assert found.ids_since == 1_000


def test_partitions_are_cut_to_reach_back_as_far_in_time() -> None:
    assert newest({0: Bounds(0, 100), 1: Bounds(50, 350)}, 40) == {
        0: Bounds(90, 100),
        1: Bounds(320, 350),
    }
