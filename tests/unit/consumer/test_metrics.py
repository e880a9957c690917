"""Metrics: what is counted, under which names, and that Prometheus can read it."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer.metrics import DeliveryMetrics, RulesFigures, WorkerMetrics
from mailer.results import Fate, Result
from schemas.plans import DeadLetter, Evaluation, Plan, Share
from schemas.records import Place, Record
from schemas.vocabulary import DeadLetterReason, EventType, Generation, Outcome

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def a_record(topic: str = "updates.v7") -> Record:
    return Record(topic, 0, 7, 1_700_000_000_000, b"k", b"v")


def a_letter(reason: DeadLetterReason) -> DeadLetter:
    return DeadLetter(record=a_record(), reason=reason, detail="")


def a_plan(*shares: Share) -> Plan:
    evaluation = Evaluation(
        topic=a_record().topic,
        partition=0,
        first_offset=0,
        last_offset=len(shares) - 1,
        rules_generation=Generation(1),
        engine_version="1.2.3",
        decided_at=datetime(2026, 11, 25, tzinfo=UTC),
        outcomes=Counter(share.outcome for share in shares),
    )
    return Plan(shares=tuple((a_record(), share) for share in shares), evaluations=(evaluation,))


def worker_metrics(
    rules: RulesFigures | None = None, lag: Mapping[Place, float] | None = None
) -> WorkerMetrics:
    return WorkerMetrics(
        version="1.2.3",
        event_types={
            "updates.v7": EventType.PAYMENT_STATUS_UPDATED,
            "rejections": EventType.PAYMENT_FILE_REJECTED,
        },
        rules=lambda: rules,
        lag=lambda: lag or {},
        default_subjects=lambda: 3,
    )


def delivery_metrics(waiting: int | None = 3) -> DeliveryMetrics:
    return DeliveryMetrics(version="1.2.3", waiting=lambda: waiting, lag=dict)


def scraped(metrics: WorkerMetrics | DeliveryMetrics) -> Samples:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_records_are_counted_by_event_type_and_outcome() -> None:
    metrics = worker_metrics()

    metrics.settled(a_plan(Share(Outcome.MAILED), Share(Outcome.MAILED)), 0.01)
    metrics.settled(a_plan(Share(Outcome.NO_MATCH)), 0.01)

    samples = scraped(metrics)
    topic = "payment-status-updated"
    assert value(samples, "push_records_total", topic=topic, outcome="mailed") == 2
    assert value(samples, "push_records_total", topic=topic, outcome="no_match") == 1
    assert value(samples, "push_batches_total") == 2


def test_every_outcome_of_every_event_type_is_there_before_it_happens() -> None:
    samples = scraped(worker_metrics())

    counts = [v for (name, _), v in samples.items() if name == "push_records_total"]
    assert counts == [0] * len(EventType) * len(Outcome)


def test_mails_dead_letters_and_foreign_rules_are_counted() -> None:
    letters = (a_letter(DeadLetterReason.RENDER_FAILED), a_letter(DeadLetterReason.RENDER_FAILED))
    metrics = worker_metrics()

    metrics.settled(a_plan(Share(Outcome.FAILED, (), letters, foreign_rules=2)), 0.01)

    samples = scraped(metrics)
    assert value(samples, "push_dead_letters_total", reason="render_failed") == 2
    assert value(samples, "push_dead_letters_total", reason="null_value") == 0
    assert value(samples, "push_foreign_rules_total") == 2
    assert value(samples, "push_mails_total") == 0


def test_matching_and_batches_are_timed() -> None:
    metrics = worker_metrics()

    metrics.matched(3e-6, count=10)
    metrics.settled(a_plan(), 0.04)

    samples = scraped(metrics)
    assert value(samples, "push_match_seconds_bucket", le="2e-06") == 0
    assert value(samples, "push_match_seconds_bucket", le="5e-06") == 10
    assert value(samples, "push_match_seconds_bucket", le="+Inf") == 10
    assert value(samples, "push_match_seconds_count") == 10
    assert value(samples, "push_batch_seconds_sum") == pytest.approx(0.04)
    assert value(samples, "push_batch_seconds_bucket", le="0.05") == 1


def test_a_postponed_batch_is_counted_by_its_error() -> None:
    metrics = worker_metrics()

    metrics.postponed("KafkaUnavailable")
    metrics.postponed("SomethingNobodyKnows")

    samples = scraped(metrics)
    assert value(samples, "push_postponed_total", error="KafkaUnavailable") == 1
    assert value(samples, "push_postponed_total", error="Temporary") == 1
    assert value(samples, "push_postponed_total", error="StoreUnavailable") == 0


def test_the_rules_in_use_are_told() -> None:
    samples = scraped(worker_metrics(rules=RulesFigures(41, 0.2, 3, 1)))

    assert value(samples, "push_rules_generation") == 41
    assert value(samples, "push_rules_age_seconds") == 0.2
    assert value(samples, "push_rules_load_failures_total") == 3
    assert value(samples, "push_rules_rejected") == 1


def test_rules_that_were_never_loaded_have_no_generation() -> None:
    samples = scraped(worker_metrics(rules=None))

    assert not [name for name, _ in samples if name.startswith("push_rules_")]


def test_seconds_behind_are_told_by_partition() -> None:
    samples = scraped(worker_metrics(lag={Place("updates.v7", 3): 1.5}))

    name = "push_consumer_lag_seconds"
    assert value(samples, name, topic="updates.v7", partition="3") == 1.5


def test_intake_is_counted_by_what_became_of_a_record() -> None:
    metrics = delivery_metrics()

    metrics.taken_in(5, 2, 1, 0.01)

    samples = scraped(metrics)
    assert value(samples, "push_intake_total", result="taken") == 5
    assert value(samples, "push_intake_total", result="known") == 2
    assert value(samples, "push_intake_total", result="unreadable") == 1
    assert value(samples, "push_batch_seconds_count") == 1


def test_deliveries_are_counted_by_their_fate_and_timed() -> None:
    metrics = delivery_metrics()

    metrics.delivered(Result(Fate.SENT), 0.03)
    metrics.delivered(Result(Fate.IN_DOUBT), 60.0)

    samples = scraped(metrics)
    assert value(samples, "push_deliveries_total", result="sent") == 1
    assert value(samples, "push_deliveries_total", result="refused") == 0
    assert value(samples, "push_in_doubt_total") == 1
    assert value(samples, "push_delivery_attempt_seconds_bucket", le="0.05") == 1
    assert value(samples, "push_delivery_attempt_seconds_sum") == pytest.approx(60.03)


@pytest.mark.parametrize(("waiting", "told"), [(3, [3.0]), (None, [])], ids=["known", "unknown"])
def test_waiting_mails_are_told_where_they_are_known(
    waiting: int | None, told: list[float]
) -> None:
    samples = scraped(delivery_metrics(waiting))

    assert [v for (name, _), v in samples.items() if name == "push_deliveries_waiting"] == told


both = pytest.mark.parametrize(
    "metrics",
    [worker_metrics(RulesFigures(1, 0, 0, 0)), delivery_metrics()],
    ids=["run", "deliver"],
)


@both
def test_the_version_is_told(metrics: WorkerMetrics | DeliveryMetrics) -> None:
    assert value(scraped(metrics), "push_build_info", version="1.2.3") == 1


@both
def test_names_have_one_prefix_and_base_units_and_nothing_is_created(
    metrics: WorkerMetrics | DeliveryMetrics,
) -> None:
    names = {name for name, _ in scraped(metrics)}

    assert [name for name in names if not re.fullmatch(r"push_[a-z_]+", name)] == []
    assert [name for name in names if re.search(r"_created|_ms\b|_millis|_minutes", name)] == []


@both
def test_labels_are_from_closed_sets(metrics: WorkerMetrics | DeliveryMetrics) -> None:
    labels = {label for _, pairs in scraped(metrics) for label, _ in pairs}

    closed = {"topic", "outcome", "reason", "error", "result", "version", "le", "partition"}
    assert labels <= closed


@both
def test_each_family_is_described(metrics: WorkerMetrics | DeliveryMetrics) -> None:
    families = list(text_string_to_metric_families(metrics.exposition().decode()))

    assert [f.name for f in families if not f.documentation.endswith(".")] == []
    assert [f.name for f in families if f.type == "unknown"] == []
