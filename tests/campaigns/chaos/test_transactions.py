"""What a kill hit, by the lines that Apache Kafka's tool prints of its transaction log."""

import json

import pytest

from tests.campaigns.chaos.transactions import OFFSETS, Hit, hit_by, steps


def line(at: int, status: str | int, *topics: str, name: str = "worker-1") -> str:
    key = {"type": "0", "data": {"transactionalId": name}}
    data = {
        "transactionStatus": status,
        "transactionPartitions": [{"topic": topic, "partitionIds": [0]} for topic in topics],
    }
    return (
        f"| offset: 1 CreateTime: {at} keySize: 7 valueSize: 45 sequence: -1 headerKeys: [] "
        f"key: {json.dumps(key)} payload: {json.dumps({'version': '1', 'data': data})}"
    )


COMMITTED = [
    line(100, "Ongoing", "mails"),
    line(110, "Ongoing", "mails", OFFSETS),
    line(120, "PrepareCommit", "mails", OFFSETS),
    line(121, "CompleteCommit"),
]
RESOLVED = [*COMMITTED[:2], line(900, "PrepareAbort", "mails", OFFSETS), line(901, "CompleteAbort")]


@pytest.mark.parametrize(
    ("log", "at", "hit"),
    [
        pytest.param(RESOLVED, 105, Hit.MID_BATCH, id="while records were written"),
        pytest.param(RESOLVED, 130, Hit.MID_COMMIT, id="while offsets were on their way"),
        pytest.param(COMMITTED, 115, Hit.DECIDED, id="the commit was on its way to the broker"),
        pytest.param(COMMITTED, 120, Hit.DECIDED, id="the commit had reached the broker"),
        pytest.param(COMMITTED, 130, Hit.BETWEEN, id="after the end"),
        pytest.param(COMMITTED, 99, Hit.BETWEEN, id="before the first"),
    ],
)
def test_the_log_says_what_a_kill_hit(log: list[str], at: int, hit: Hit) -> None:
    assert hit_by(steps(log)["worker-1"], at) is hit


def test_an_older_tool_tells_states_by_their_numbers() -> None:
    # Failed when its numbers were taken for no state at all: no kill had hit anything.
    log = [line(100, 0), line(110, 1, "mails"), line(900, 3, "mails"), line(901, 5)]

    assert [step.status for step in steps(log)["worker-1"]] == [
        "Empty",
        "Ongoing",
        "PrepareAbort",
        "CompleteAbort",
    ]
    assert hit_by(steps(log)["worker-1"], 120) is Hit.MID_BATCH


def test_ids_are_told_apart_and_other_lines_are_passed_over() -> None:
    noise = ["Dumping /a/b.log", "Log starting offset: 0", "baseOffset: 0 count: 1"]

    told = steps([*noise, line(1, "Empty"), line(2, "Ongoing", name="worker-2")])

    assert {name: len(history) for name, history in told.items()} == {"worker-1": 1, "worker-2": 1}
