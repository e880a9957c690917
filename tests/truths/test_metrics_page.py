"""The table of metrics in docs/operations.md is what the daemons export."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from consumer.metrics import DeliveryMetrics, RulesFigures, WorkerMetrics
from schemas.records import Place
from schemas.vocabulary import EventType

PAGE = Path(__file__).parents[2] / "docs/operations.md"
ROW = re.compile(
    r"^\| `(push_\w+)` \| (\w+) \|(.*?)\| .* \| (both|`run`|`deliver`) \|$", re.MULTILINE
)
BY_DAEMON = {"run": {"run"}, "deliver": {"deliver"}, "both": {"run", "deliver"}}
LAG = {Place("payment-status-updated", 0): 0.0}

Row = tuple[str, str, frozenset[str]]  # name, type, labels


def documented(daemon: str) -> set[Row]:
    """Return the rows of the table that the daemon has."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {
        (name, kind, frozenset(re.findall(r"\w+", labels)))
        for name, kind, labels, whose in rows
        if daemon in BY_DAEMON[whose.strip("`")]
    }


def exported(exposition: bytes) -> set[Row]:
    """Return what a scrape shows, under the names that a query would use."""
    return {
        (
            family.name + ("_total" if family.type == "counter" else ""),
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for family in text_string_to_metric_families(exposition.decode())
    }


def test_the_worker_exports_what_the_page_says() -> None:
    metrics = WorkerMetrics(
        version="1",
        event_types={str(event_type): event_type for event_type in EventType},
        rules=lambda: RulesFigures(1, 0.0, 0, 0),
        lag=lambda: LAG,
        default_subjects=lambda: 3,
    )

    assert exported(metrics.exposition()) == documented("run")


def test_the_delivery_daemon_exports_what_the_page_says() -> None:
    metrics = DeliveryMetrics(
        version="1",
        waiting=lambda: 0,
        held=lambda: 0,
        left_alone=lambda: {"smtp.example:587": False},
        lag=lambda: LAG,
    )

    assert exported(metrics.exposition()) == documented("deliver")
