"""A short campaign on real Kafka and PostgreSQL, and the audit itself."""

from pathlib import Path

import pytest

from tests.campaigns.delivering.__main__ import figures
from tests.campaigns.delivering.audit import Row, audit
from tests.campaigns.delivering.campaign import Campaign, Plan
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.recording_sink import Taken


@pytest.mark.kafka
@pytest.mark.postgresql
@pytest.mark.timeout(240)
def test_killed_daemons_lose_nothing_and_every_further_copy_was_in_doubt(
    kafka: Kafka, postgresql: PostgreSQL, tmp_path: Path, spawn: Spawn
) -> None:
    campaign = Campaign(kafka=kafka, postgresql=postgresql, folder=tmp_path, spawn=spawn)

    result = campaign.run(Plan(kills=10))

    assert [figure.name for figure in figures(result) if not figure.ok] == []


SENT = Row("sent", 0)


@pytest.mark.parametrize(
    ("ledger", "came", "finding"),
    [
        pytest.param({"a": SENT}, [], "lost", id="lost"),
        pytest.param({"a": SENT}, ["a1", "a1"], "too_often", id="twice without doubt"),
        pytest.param({"a": Row("sent", 1)}, ["a1"] * 3, "too_often", id="thrice with one doubt"),
        pytest.param({"a": Row("sent", 1)}, ["a1", "a2"], "unlike", id="other bytes"),
        pytest.param({"a": SENT}, ["a1", "b1"], "unknown", id="never published"),
        pytest.param({}, ["a1"], "too_often", id="not in the ledger"),
    ],
)
def test_the_audit_finds(ledger: dict[str, Row], came: list[str], finding: str) -> None:
    found = audit({"a"}, ledger, [Taken(0.0, one[0], one[1]) for one in came])

    assert len(getattr(found, finding)) == 1


def test_the_audit_finds_nothing_where_all_is_well() -> None:
    taken = [Taken(0.0, "a", "1"), Taken(1.0, "a", "1"), Taken(2.0, "b", "2")]

    found = audit({"a", "b"}, {"a": Row("sent", 1), "b": SENT}, taken)

    assert list(found.lines()) == []
    assert (found.doubts, found.copies) == (1, 1)
