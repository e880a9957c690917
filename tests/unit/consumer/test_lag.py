from consumer.lag import Lag
from schemas.records import Batch, Place, Record

NOW = 1_000.0  # seconds since 1970


def a_record(partition: int, offset: int, timestamp: int) -> Record:
    return Record("events", partition, offset, timestamp, None, None)


def test_a_partition_is_as_far_behind_as_its_oldest_record_is_old() -> None:
    lag = Lag(now=lambda: NOW)

    lag.collected(Batch((a_record(0, 1, 990_000), a_record(0, 2, 999_000))))

    assert lag.seconds() == {Place("events", 0): 10.0}


def test_a_partition_without_a_waiting_record_is_not_behind() -> None:
    lag = Lag(now=lambda: NOW)
    lag.collected(Batch((a_record(0, 1, 990_000),)))

    lag.collected(Batch((a_record(1, 1, 995_000),)))

    assert lag.seconds() == {Place("events", 0): 0.0, Place("events", 1): 5.0}


def test_nothing_is_behind_once_all_is_drained() -> None:
    lag = Lag(now=lambda: NOW)
    lag.collected(Batch((a_record(0, 1, 990_000),)))

    lag.collected(Batch())

    assert lag.seconds() == {Place("events", 0): 0.0}
