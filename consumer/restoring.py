"""Taking over a partition: where to read on, and which ids its predecessors have settled.

The order of the questions is the proof. The committed offset comes first, and the broker answers
only when no transaction over it is open, so every predecessor's transaction is decided by then;
whoever still holds one can commit it no more. The end of the repeats topic is asked for afterwards,
as an uncommitted reader sees it, so it lies behind everything that those transactions wrote, also
where a commit's marker is still on its way. Then the topic is read as a committed reader up to that
end, which waits for such markers.

An answer may be false. A coordinator that was killed and started again reads its log, and answers
meanwhile from what it has read so far: with a place of hours ago, or with none (seen with Apache
Kafka 4.1.0 to 4.4.0, at each of twelve kills under load); sometimes until somebody commits anew. So
an answer that lies before what is known to be settled is asked for again. If it stays, the
evaluation topic says where to go on: it is written in the transactions that mark offsets. Who wants
to go back says so (`run --from committed`).

Pure over `Questions` but for a clock; the door that asks Kafka is `kafka_questions`, and `restorer`
runs this beside the loop.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from time import monotonic
from typing import NamedTuple, Protocol

from consumer.compact_ids import CompactIds
from schemas.errors import InvalidInput, KafkaUnavailable, OffsetsLost
from schemas.records import Lost, Place
from schemas.repeats import offset_and_instant, topic_prefix

#: Seconds for which a place before what is settled is asked for again. With 90,000 commits to read
#: most false answers ended after 3 s.
DOUBTED_FOR = 30.0


class Bounds(NamedTuple):
    """The offsets a partition holds: from `first` on, before `end`."""

    first: int
    end: int


class Questions(Protocol):
    """What a take-over asks the brokers; each may raise `Temporary`, then all is asked again."""

    def committed(self, places: Collection[Place]) -> Mapping[Place, int | None]:
        """Return the group's offsets, once no transaction over them is open; None: never any."""

    def bounds(self, places: Collection[Place]) -> Mapping[Place, Bounds]:
        """Return what the input partitions hold."""

    def ends_of_repeats(self, partitions: Collection[int]) -> Mapping[int, Bounds]:
        """Return what partitions of the repeats topic hold, uncommitted records included."""

    def settled(self, spans: Mapping[int, Bounds]) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (partition, key, value) of the repeats topic in these spans, committed only.

        Ends once each end was reached, so not before what lies in a span is committed or aborted.
        """

    def evaluated(self, places: Collection[Place]) -> Collection[Place]:
        """Return those of the places that the evaluation topic knows."""

    def evaluated_until(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return the offsets behind the last evaluation of each place that has a recent one."""


class Start(NamedTuple):
    """Where an operator wants to go on if a partition's place is lost (`run --from`)."""

    word: str  #: earliest, latest, committed or offset
    offset: int = 0


class TakenOver(NamedTuple):
    """What a take-over found out."""

    position: int  #: the offset to read on from
    ids: CompactIds
    lost: Lost | None = None  #: what retention took before it was read
    is_new: bool = False  #: no offset was committed yet, so the position should be
    ids_since: int = 0  #: older ids were left in the topic for want of room; milliseconds
    unbelieved: int | None = None  #: the committed offset, where it lies before what is settled


class Restoring:
    """Takes partitions over; `limit` is how many ids a worker has room for."""

    def __init__(
        self,
        ask: Questions,
        limit: int,
        start: Start | None,
        *,
        remembers: bool,
        reached: Mapping[Place, int] | None = None,
        doubted_for: float = DOUBTED_FOR,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        """`remembers` is False for a daemon that has no repeats and writes no evaluations.

        `reached` is how far this process itself has settled; it grows beside.
        """
        self._doubted_for = doubted_for
        self._ask = ask
        self._limit = limit
        self._start = start
        self._remembers = remembers
        self._reached = {} if reached is None else reached
        self._seconds = seconds
        self._doubted: dict[Place, float] = {}  # since when

    def take_over(self, places: Collection[Place]) -> Iterator[tuple[Place, TakenOver]]:
        """Yield each partition once it is known; those whose place must be searched for last.

        Raise `KafkaUnavailable` where a place is to be asked for again, `OffsetsLost` where only an
        operator can say where to go on.
        """
        committed = self._ask.committed(places)  # first: see above
        ids, since = self._restored(places)
        bounds = self._ask.bounds(places)
        unplaced, doubtful = [], []
        for place in places:
            offset, held = committed[place], bounds[place]
            if offset is None or offset > held.end:
                unplaced.append(place)
            elif (found := self._behind(place, offset, held, ids[place], since)) is not None:
                yield place, found
            else:
                doubtful.append(place)
        evaluated = self._evaluated(unplaced, ids)
        for place in unplaced:
            offset, held = committed[place], bounds[place]
            is_known = place in evaluated or place in self._reached or len(ids[place]) > 0
            if offset is None and self._is_doubtful(place, lies_before=is_known):
                doubtful.append(place)
                continue
            position = self._placed(place, offset, held, is_known)
            yield place, TakenOver(position, ids[place], None, True, since)
        if doubtful:
            names = ", ".join(f"{place.topic}/{place.partition}" for place in doubtful)
            raise KafkaUnavailable(f"Kafka: committed places before what is settled: {names}")

    def _behind(
        self, place: Place, offset: int, held: Bounds, ids: CompactIds, since: int
    ) -> TakenOver | None:
        """Go on behind what is settled; None where the answer is doubtful."""
        least = self._settled_until(place, ids, held)
        wants_back = self._start is not None and self._start.word == "committed"
        is_before = offset < least and not wants_back
        if self._is_doubtful(place, lies_before=is_before):
            return None
        unbelieved = offset if is_before else None
        if is_before and self._remembers:
            evaluated = self._ask.evaluated_until([place]).get(place, 0)
            least = max(least, evaluated if evaluated <= held.end else 0)
        offset = least if is_before else offset
        lost = Lost(*place, offset, held.first - 1) if offset < held.first else None
        return TakenOver(max(offset, held.first), ids, lost, False, since, unbelieved)

    def _settled_until(self, place: Place, ids: CompactIds, held: Bounds) -> int:
        """Return an offset before which all is settled; a topic made anew knows nothing of it."""
        until, furthest = self._reached.get(place, 0), ids.furthest
        if furthest is not None:
            until = max(until, furthest + 1)
        return until if until <= held.end else 0

    def _is_doubtful(self, place: Place, *, lies_before: bool) -> bool:
        """Say whether a place is to be asked for again, where it lies before what is settled."""
        if not lies_before:
            self._doubted.pop(place, None)
            return False
        now = self._seconds()
        return now - self._doubted.setdefault(place, now) < self._doubted_for

    def _evaluated(
        self, places: Collection[Place], ids: Mapping[Place, CompactIds]
    ) -> Collection[Place]:
        """Return those without ids of which the evaluation topic knows."""
        rest = [place for place in places if not ids[place]] if self._remembers else []
        return self._ask.evaluated(rest) if rest else ()

    def _placed(self, place: Place, offset: int | None, bounds: Bounds, is_known: bool) -> int:
        """Say where to begin with a partition that has no offset of any use."""
        if self._start is not None and self._start.word != "committed":
            return starting_at(self._start, bounds)
        if offset is None and not is_known:
            return bounds.first
        name = f"{place.topic}/{place.partition}"
        why = (
            "has no committed offset, though its events were evaluated before"
            if offset is None
            else f"ends at {bounds.end}, but offset {offset} was committed"
        )
        raise OffsetsLost(f"{name} {why}: say where to go on, run --from earliest|latest|OFFSET")

    def _restored(self, places: Collection[Place]) -> tuple[Mapping[Place, CompactIds], int]:
        ids: Mapping[Place, CompactIds] = {place: CompactIds() for place in places}
        if not self._remembers:
            return ids, 0
        ends = self._ask.ends_of_repeats({place.partition for place in places})
        spans = newest(ends, 2 * self._limit)  # each id lies beside a marker at most
        return ids, fill(ids, self._ask.settled(spans), cut=spans != ends)


def read_start(text: str) -> Start:
    """Read what `--from` says, or raise `InvalidInput`."""
    if text in ("earliest", "latest", "committed"):
        return Start(text)
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput(
            [f"--from {text}: allowed are earliest, latest, committed and an offset"]
        )
    return Start("offset", int(text))


def starting_at(start: Start, bounds: Bounds) -> int:
    """Return the offset that an operator's word means for a partition."""
    if start.word == "earliest":
        return bounds.first
    return bounds.end if start.word == "latest" else start.offset


def newest(ends: Mapping[int, Bounds], most: int) -> Mapping[int, Bounds]:
    """Cut spans to `most` offsets in all, each by its share: so all reach back as far in time."""
    held = sum(bounds.end - bounds.first for bounds in ends.values())
    if held <= most:
        return ends
    return {
        partition: Bounds(end - (end - first) * most // held, end)
        for partition, (first, end) in ends.items()
    }


def fill(
    ids: Mapping[Place, CompactIds], settled: Iterable[tuple[int, bytes, bytes]], *, cut: bool
) -> int:
    """Add what the topic holds to its partitions' ids, what is not ours or newer left aside.

    Return since when it is complete (milliseconds since 1970), 0 for always.
    """
    by_topic: dict[tuple[int, bytes], CompactIds] = {
        (place.partition, topic_prefix(place.topic)): held for place, held in ids.items()
    }
    starts: defaultdict[int, int] = defaultdict(int)
    for partition, key, value in settled:
        held = by_topic.get((partition, key[: key.find(b"\x00") + 1]))
        read = offset_and_instant(value)
        if held is None or read is None:
            continue
        offset, settled_at = read
        held.add(key, offset, settled_at)
        if cut and partition not in starts:
            starts[partition] = settled_at
    return max(starts.values(), default=0)
