import pytest

from consumer.redrives import Redrive, is_redriven, redrive_headers, redrive_of, settled_as
from schemas.records import Headers, Record
from schemas.vocabulary import EventId, RuleId

SHARE = Redrive("dead-letter/0/7", RuleId("r-1"))
WHOLE = Redrive("dead-letter/0/7")


def a_record(headers: Headers) -> Record:
    return Record("payment-status-updated", 3, 42, -1, b"key", b"value", headers)


@pytest.mark.parametrize("redrive", [SHARE, WHOLE], ids=["a rule's share", "a whole record"])
def test_what_a_redrive_writes_is_what_the_worker_reads(redrive: Redrive) -> None:
    record = a_record((("traceparent", b"00-1"), *redrive_headers(redrive, "group")))

    assert redrive_of(record, "group") == redrive
    assert is_redriven(record)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((), id="none"),
        pytest.param((("traceparent", b"00-1"),), id="others"),
        pytest.param((("push.redrive-of", None), ("push.redrive-group", b"group")), id="null"),
        pytest.param(
            (("push.redrive-of", b"x" * 1_001), ("push.redrive-group", b"group")), id="huge"
        ),
        pytest.param((("push.redrive-of", b"dead-letter/0/7"),), id="no group"),
    ],
)
def test_other_headers_are_no_redrive(headers: Headers) -> None:
    assert redrive_of(a_record(headers), "group") is None


def test_another_groups_redrive_means_nothing_here() -> None:
    record = a_record(redrive_headers(SHARE, "another-group"))

    assert redrive_of(record, "group") is None


@pytest.mark.parametrize(
    ("redrive", "expected"),
    [
        pytest.param(None, ("e-1",), id="an ordinary record"),
        pytest.param(SHARE, ("letter:dead-letter/0/7",), id="a rule's share"),
        pytest.param(WHOLE, ("e-1", "letter:dead-letter/0/7"), id="a whole record"),
    ],
)
def test_a_record_is_settled_under_these_ids(
    redrive: Redrive | None, expected: tuple[str, ...]
) -> None:
    assert settled_as(redrive, EventId("e-1")) == expected
