"""What the worker remembers: rules of the window over values."""

from datetime import timedelta
from itertools import pairwise

import pytest

from consumer.compact_ids import CompactIds
from consumer.repeats import Repeats
from schemas.records import Place
from schemas.repeats import SettledId

HERE, THERE = Place("in", 0), Place("in", 1)
WINDOW = timedelta(seconds=100)
NOW = 1_000_000  # milliseconds


def settled(key: bytes, offset: int = 7, at: int = NOW, place: Place = HERE) -> SettledId:
    return SettledId(place, key, offset, at)


def remembering(*ids: SettledId, limit: int = 1_000) -> Repeats:
    repeats = Repeats(WINDOW, limit)
    repeats.enter(ids)
    return repeats


def known(repeats: Repeats, *keys: bytes, place: Place = HERE) -> list[bytes]:
    return [key for key in keys if repeats.first_offset(place, key, NOW) is not None]


def ids_of(*entries: tuple[bytes, int, int]) -> CompactIds:
    ids = CompactIds()
    for entry in entries:
        ids.add(*entry)
    return ids


def test_an_id_is_known_by_the_offset_at_which_it_came_first() -> None:
    repeats = remembering(settled(b"a", offset=42))

    assert repeats.first_offset(HERE, b"a", NOW) == 42
    assert repeats.first_offset(HERE, b"b", NOW) is None


def test_an_id_is_known_on_its_own_partition_only() -> None:
    assert known(remembering(settled(b"a")), b"a", place=THERE) == []


def test_an_id_is_known_for_the_window_counted_from_when_it_was_settled() -> None:
    repeats = remembering(settled(b"a", at=NOW))

    assert repeats.first_offset(HERE, b"a", NOW + 99_999) == 7
    assert repeats.first_offset(HERE, b"a", NOW + 100_000) is None


def test_an_id_that_is_settled_again_after_its_time_begins_anew() -> None:
    repeats = remembering(settled(b"a", 1, NOW), settled(b"a", 9, NOW + 100_000))

    assert repeats.first_offset(HERE, b"a", NOW + 150_000) == 9


def test_the_limit_comes_before_the_window_and_the_oldest_leave_of_whichever_partition() -> None:
    # Failed when nothing had to leave.
    repeats = remembering(
        settled(b"3", at=NOW - 3, place=THERE),
        settled(b"1", at=NOW - 1, place=THERE),
        settled(b"4", at=NOW - 4),
        settled(b"2", at=NOW - 2),
        limit=2,
    )

    assert known(repeats, b"4", b"2") == [b"2"]
    assert known(repeats, b"3", b"1", place=THERE) == [b"1"]
    assert repeats.count == 2


def test_the_true_window_shrinks_while_ids_leave_for_want_of_room() -> None:
    repeats = remembering(settled(b"a", at=NOW - 5_000), limit=1)
    whole = repeats.window_seconds(NOW)

    repeats.enter([settled(b"b", at=NOW)])

    assert (whole, repeats.window_seconds(NOW)) == (100.0, 5.0)
    assert repeats.window_seconds(NOW + 200_000) == 100.0  # what left would be forgotten by now


def test_a_restored_partition_knows_what_its_topic_holds_and_nothing_else() -> None:
    repeats = remembering(settled(b"in doubt"), settled(b"elsewhere", place=THERE))

    repeats.forget([HERE])
    repeats.restore(HERE, ids_of((b"committed", 3, NOW)), 0)

    assert known(repeats, b"in doubt", b"committed") == [b"committed"]
    assert known(repeats, b"elsewhere", place=THERE) == [b"elsewhere"]


def test_what_was_left_in_the_topic_for_want_of_room_shortens_the_window() -> None:
    repeats = Repeats(WINDOW, 10)

    repeats.restore(HERE, ids_of((b"a", 1, NOW - 2_000)), NOW - 2_000)

    assert repeats.window_seconds(NOW) == 2.0


def test_a_partition_that_is_somebody_elses_is_forgotten() -> None:
    repeats = remembering(settled(b"a"))

    repeats.forget([HERE, THERE])

    assert (known(repeats, b"a"), repeats.count) == ([], 0)


# --- the map beneath ------------------------------------------------------------------------------


def test_ids_are_found_while_they_come_and_go_by_the_thousand() -> None:
    # Failed when a slot was freed without closing the gap behind it.
    ids = CompactIds()
    keys = [b"%d" % number for number in range(5_000)]
    for at, key in enumerate(keys):
        ids.add(key, at, at)
        if at >= 1_000:
            ids.forget_oldest()

    assert len(ids) == 1_000
    assert [key for key in keys if ids.get(key) is not None] == keys[-1_000:]
    assert all(ids.get(key) == (at, at) for at, key in list(enumerate(keys))[-1_000:])


def test_the_newest_entry_of_a_key_counts_and_outlives_the_older() -> None:
    ids = ids_of((b"a", 1, 10), (b"a", 2, 20))

    first, last = ids.get(b"a"), (ids.forget_oldest(), ids.get(b"a"))

    assert first == (2, 20)
    assert last == (10, (2, 20))


def test_the_oldest_leaves_first() -> None:
    ids = ids_of(*((b"%d" % number, number, number) for number in range(500)))

    left = [ids.forget_oldest() for _ in range(500)]

    assert all(earlier < later for earlier, later in pairwise(left))
    assert len(ids) == 0


@pytest.mark.parametrize("count", [0, 1, 33, 64, 65])
def test_an_empty_map_knows_nothing(count: int) -> None:
    ids = ids_of(*((b"%d" % number, 0, 0) for number in range(count)))

    assert ids.get(b"none") is None
    assert len(ids) == count
