"""The load: reproducible, mostly unwanted, and each event's id says where it lies."""

from itertools import islice

from tests.campaigns.chaos.inputs import read_event
from tests.campaigns.chaos.load import place_of, written

SOME = 2000


def test_the_same_seed_gives_the_same_records() -> None:
    assert list(islice(written(7, 4), SOME)) == list(islice(written(7, 4), SOME))


def test_an_events_id_says_where_it_lies() -> None:
    records = list(islice(written(7, 4), SOME))
    events = [(record, read_event(record.name, record.value)) for record in records]

    places = [(r, place_of(event["event_id"])) for r, event in events if event is not None]

    assert all(place == (record.name, record.partition) for record, place in places)
    assert len({event["event_id"] for _, event in events if event}) == len(places)


def test_a_few_records_are_nothing_anybody_can_read() -> None:
    records = list(islice(written(7, 4), SOME))

    unreadable = [r for r in records if read_event(r.name, r.value) is None]

    assert 0 < len(unreadable) < SOME / 100
