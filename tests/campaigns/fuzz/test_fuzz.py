"""A short run of `make fuzz`, and that it finds what it is there to find."""

from dataclasses import replace

import pytest

from consumer.registry import RegistrySchemas
from schemas.codec import Codec
from schemas.events import Routing
from schemas.records import Record
from schemas.vocabulary import EventType, Outcome
from tests.campaigns.fuzz.__main__ import figures
from tests.campaigns.fuzz.judging import a_planner, judge
from tests.campaigns.fuzz.mutations import MUTATIONS
from tests.campaigns.fuzz.records import Fuzzer
from tests.campaigns.fuzz.schemas import PLAIN, UPDATED, KnownSchemas

SHORT = 1_500


class Planted(Codec):
    """A codec with a fault that one record in some meets."""

    def __init__(self) -> None:
        super().__init__(RegistrySchemas(KnownSchemas()))

    def peek(self, event_type: EventType, record: Record) -> Routing:
        if record.value and record.value[-1] == 0x41:
            raise IndexError
        return super().peek(event_type, record)


class Leaking(Planted):
    """A codec that keeps so many pieces of so many bytes of each record for good."""

    def __init__(self, pieces: int, size: int) -> None:
        super().__init__()
        self._pieces, self._size = pieces, size
        self.kept: list[bytes] = []

    def peek(self, event_type: EventType, record: Record) -> Routing:
        self.kept += [bytes(self._size) for _ in range(self._pieces)]
        return super().peek(event_type, record)


def test_spoilt_records_give_outcomes_and_typed_dead_letters_and_nothing_else() -> None:
    judged = judge(Fuzzer(seed=7).records(SHORT), a_planner())

    assert judged.findings == []
    assert set(judged.by_mutation) == {*(m.__name__ for m in MUTATIONS), "no_value"}
    assert judged.mails > 50
    assert judged.dead_letters > 500


def test_the_same_seed_gives_the_same_records() -> None:
    assert list(Fuzzer(seed=7).records(100)) == list(Fuzzer(seed=7).records(100))


def test_a_planted_fault_is_found() -> None:
    judged = judge(Fuzzer(seed=7).records(SHORT), a_planner(Planted()))

    assert judged.findings
    assert "IndexError" in judged.findings[0]
    assert not all(figure.ok for figure in figures(judged, 1.0))


@pytest.mark.parametrize(
    ("codec", "told_by"),
    [
        pytest.param(Leaking(1, 20_000), "fuzz_memory_growth", id="few large pieces"),
        pytest.param(Leaking(200, 8), "fuzz_blocks_growth", id="many small pieces"),
    ],
)
def test_a_planted_leak_is_found(codec: Codec, told_by: str) -> None:
    judged = judge(Fuzzer(seed=7).records(SHORT), replace(a_planner(), codec=codec))

    assert told_by in [figure.name for figure in figures(judged, 1.0) if not figure.ok]


@pytest.mark.parametrize("levels", [1, 300_000])
def test_a_value_of_a_schema_that_contains_itself_ends_nothing(levels: int) -> None:
    # Such a value, read by fastavro, ends the process: no exception, a segmentation fault.
    recursive = PLAIN[UPDATED] + 4
    value = b"\0" + recursive.to_bytes(4, "big") + b"\2" * levels

    share = a_planner().share(Record(UPDATED, 0, 0, -1, b"key", value))

    assert share.outcome is Outcome.UNREADABLE
    assert [str(letter.reason) for letter in share.dead_letters] == ["unknown_schema"]
