"""What is counted, in plain ints added up per batch, and how Prometheus reads it.

One prefix, base units, labels from closed sets and never a tenant (operations.md, section 2). Each
family is there from the first scrape on with all its labels, so that `rate` sees the first count.
One thread writes a number; the thread that answers a scrape only reads. Figures that somebody else
keeps are asked for at a scrape and must come without waiting; None leaves them out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from consumer.histograms import Histogram
from mailer.results import Fate, Result
from schemas.errors import Temporary
from schemas.plans import Plan
from schemas.records import Place
from schemas.vocabulary import DeadLetterReason, EventType, Outcome

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# Seconds. Matching takes microseconds; a batch milliseconds, or seconds where a broker is slow.
_MATCH_BOUNDS = (
    *(1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4),
    *(1e-3, 2e-3, 5e-3, 1e-2, 1e-1, 1.0),
)
_BATCH_BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ATTEMPT_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0, 600.0)

_TEMPORARY: tuple[type[Temporary], ...] = (Temporary, *Temporary.__subclasses__())
_ERRORS = tuple(error.__name__ for error in _TEMPORARY)

Labels = tuple[str, ...]


def _nobody_knows() -> None:
    return None


def _none_known() -> Mapping[str, bool]:
    return {}


class RulesFigures(NamedTuple):
    """How the rules in use stand: which, since how many seconds, and what went wrong."""

    generation: int
    age_seconds: float  # since they were last known to be current
    load_failures: int
    rejected: int  # rules that cannot be meant
    tenants: int = 0  # that have any rule
    healed: int = 0  # tenants that a re-read found other than the generations told
    too_old: bool = False
    notices: bool = False  # whether PostgreSQL's notices come


@dataclass(slots=True, kw_only=True)
class WorkerMetrics:
    """What `run` counts.

    `rules`, `lag` (seconds behind, by partition) and `default_subjects` are asked at a scrape.
    """

    version: str
    event_types: Mapping[str, EventType]  # by input topic
    rules: Callable[[], RulesFigures | None]
    lag: Callable[[], Mapping[Place, float]]
    default_subjects: Callable[[], int]  # mails whose rule's own subject cannot be used
    window: Callable[[], float] = lambda: 0.0  # seconds that a settled id is surely known
    _records: dict[Labels, int] = field(init=False)
    _mails: int = field(default=0, init=False)
    _fallbacks: int = field(default=0, init=False)
    _lost: int = field(default=0, init=False)
    _dead_letters: dict[Labels, int] = field(init=False)
    _foreign_rules: int = field(default=0, init=False)
    _postponed: dict[Labels, int] = field(init=False)
    _batches: int = field(default=0, init=False)
    _match: Histogram = field(init=False)
    _batch: Histogram = field(init=False)

    def __post_init__(self) -> None:
        topics = sorted(set(self.event_types.values()))
        self._records = {(topic, outcome): 0 for topic in topics for outcome in Outcome}
        self._dead_letters = _zeros(DeadLetterReason)
        self._postponed = _zeros(_ERRORS)
        self._match, self._batch = Histogram(_MATCH_BOUNDS), Histogram(_BATCH_BOUNDS)

    def matched(self, seconds: float, count: int = 1) -> None:
        """Count how long it took to read a record's routing fields and find the rules for it."""
        self._match.observe(seconds, count)

    def settled(self, plan: Plan, seconds: float) -> None:
        """Count what a settled plan asked for, and the seconds until it was settled."""
        for each in plan.evaluations:
            for outcome, count in each.outcomes.items():
                self._records[self.event_types[each.topic], outcome] += count
                self._lost += count * (outcome is Outcome.LOST)
        for share in plan.asking:
            self._mails += len(share.mails)
            self._fallbacks += sum(mail.fallback for mail, _ in share.mails)
            self._foreign_rules += share.foreign_rules
            for letter in share.dead_letters:
                self._dead_letters[letter.reason,] += 1
        self._batches += 1
        self._batch.observe(seconds)

    def postponed(self, error: str) -> None:
        """Count a batch that has to come again; `error` is the name of the `Temporary`."""
        _count_postponed(self._postponed, error)

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return _exposition(self._families())

    def _families(self) -> Iterator[Metric]:
        yield _build_info(self.version)
        yield _counter("push_records", "Records settled.", ("topic", "outcome"), self._records)
        yield _count("push_mails", "Mails written to outgoing-mail.", self._mails)
        yield _count("push_fallback_mails", "Mails that became their fallback.", self._fallbacks)
        about = "Mails with the default subject because their rule's own cannot be used."
        yield _count("push_default_subjects", about, self.default_subjects())
        yield _count("push_records_lost", "Offsets that retention took unread.", self._lost)
        yield _gauge("push_repeats_window_seconds", "How long ids are known.", self.window())
        yield _dead_letter_counter(self._dead_letters)
        yield _count("push_foreign_rules", "Another tenant's rules refused.", self._foreign_rules)
        yield _count("push_batches", "Batches settled.", self._batches)
        yield _postponed_counter(self._postponed)
        yield _histogram("push_match_seconds", "Peek and match of one record.", self._match)
        yield _histogram(
            "push_batch_seconds",
            "A batch, from its planning until its commit is known.",
            self._batch,
        )
        yield _lag_gauge(self.lag())
        yield from self._rules_families()

    def _rules_families(self) -> Iterator[Metric]:
        rules = self.rules()
        if rules is None:
            return
        yield _gauge("push_rules_generation", "Generation of the rules in use.", rules.generation)
        yield _gauge("push_rules_age_seconds", "Time since they were current.", rules.age_seconds)
        failures = rules.load_failures
        yield _count("push_rules_load_failures", "Times the rules could not be loaded.", failures)
        yield _gauge("push_rules_rejected", "Rules that cannot be meant.", rules.rejected)
        yield _gauge("push_rules_tenants", "Tenants that have any rule.", rules.tenants)
        yield _count("push_rules_healed", "Tenants changed behind our back.", rules.healed)
        yield _gauge("push_rules_too_old", "1: older than they may become.", float(rules.too_old))
        yield _gauge("push_rules_notices", "1: notices of changes come.", float(rules.notices))


@dataclass(slots=True, kw_only=True)
class DeliveryMetrics:
    """What `deliver` counts; what its fields call is asked at a scrape.

    `waiting` and `held` are mails in the ledger, `left_alone` says for each mail server whether its
    breaker is open, `refuses_everything` whether the policy breaker is.
    """

    version: str
    waiting: Callable[[], int | None]
    lag: Callable[[], Mapping[Place, float]]
    held: Callable[[], int | None] = _nobody_knows
    left_alone: Callable[[], Mapping[str, bool]] = _none_known
    refuses_everything: Callable[[], bool] = bool
    _reports: int = field(default=0, init=False)
    _intake: dict[Labels, int] = field(init=False)
    _deliveries: dict[Labels, int] = field(init=False)
    _postponed: dict[Labels, int] = field(init=False)
    _batches: int = field(default=0, init=False)
    _batch: Histogram = field(init=False)
    _attempt: Histogram = field(init=False)

    def __post_init__(self) -> None:
        self._intake = _zeros(("taken", "known", "unreadable"))
        self._deliveries = _zeros(Fate)
        self._postponed = _zeros(_ERRORS)
        self._batch, self._attempt = Histogram(_BATCH_BOUNDS), Histogram(_ATTEMPT_BOUNDS)

    def taken_in(self, taken: int, known: int, unreadable: int, seconds: float = 0.0) -> None:
        """Count a settled batch of outgoing-mail records by what became of them."""
        for result, count in (("taken", taken), ("known", known), ("unreadable", unreadable)):
            self._intake[result,] += count
        self._batches += 1
        self._batch.observe(seconds)

    def delivered(self, result: Result, seconds: float) -> None:
        """Count one step of a mail and how long it took; called by one thread."""
        self._deliveries[result.fate,] += 1
        self._attempt.observe(seconds)

    def postponed(self, error: str) -> None:
        """Count a batch that has to come again; `error` is the name of the `Temporary`."""
        _count_postponed(self._postponed, error)

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return _exposition(self._families())

    def _families(self) -> Iterator[Metric]:
        yield _build_info(self.version)
        yield _counter("push_intake", "Mail records taken in.", ("result",), self._intake)
        yield _counter("push_deliveries", "Steps of mails.", ("result",), self._deliveries)
        doubts = self._deliveries[Fate.IN_DOUBT,]
        yield _count("push_in_doubt", "Mails that may have arrived unnoticed.", doubts)
        yield _histogram("push_delivery_attempt_seconds", "One step of a mail.", self._attempt)
        yield _count("push_batches", "Batches settled.", self._batches)
        yield _postponed_counter(self._postponed)
        yield _histogram(
            "push_batch_seconds",
            "A batch, from its planning until its commit is known.",
            self._batch,
        )
        yield _lag_gauge(self.lag())
        yield _count("push_undeliverable_reports", "Reports of mails given.", self._reports)
        yield from self._ledger_families()
        yield _relays_gauge(self.left_alone())
        refuses = float(self.refuses_everything())
        yield _gauge("push_policy_breaker_open", "1: the mail server refuses everything.", refuses)

    def reported(self, count: int) -> None:
        """Count reports about mails that will not come."""
        self._reports += count

    def _ledger_families(self) -> Iterator[Metric]:
        waiting, held = self.waiting(), self.held()
        if waiting is not None:
            yield _gauge("push_deliveries_waiting", "Mails that wait in the ledger.", waiting)
        if held is not None:
            yield _gauge("push_deliveries_held", "Mails that an operator must look at.", held)


def _zeros(words: Iterable[str]) -> dict[Labels, int]:
    return {(str(word),): 0 for word in words}


def _count_postponed(counts: dict[Labels, int], error: str) -> None:
    counts[(error,) if (error,) in counts else (Temporary.__name__,)] += 1


def _counter(
    name: str, about: str, labels: Sequence[str], counts: Mapping[Labels, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, about, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _count(name: str, about: str, count: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, about, value=count)


def _dead_letter_counter(counts: Mapping[Labels, int]) -> CounterMetricFamily:
    return _counter("push_dead_letters", "Dead letters written.", ("reason",), counts)


def _postponed_counter(counts: Mapping[Labels, int]) -> CounterMetricFamily:
    return _counter("push_postponed", "Batches that had to come again.", ("error",), counts)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)


def _lag_gauge(lag: Mapping[Place, float]) -> GaugeMetricFamily:
    about = "Age of the oldest record that is not settled, 0 when drained."
    family = GaugeMetricFamily("push_consumer_lag_seconds", about, labels=("topic", "partition"))
    for place, seconds in lag.items():
        family.add_metric((place.topic, str(place.partition)), seconds)
    return family


def _relays_gauge(left_alone: Mapping[str, bool]) -> GaugeMetricFamily:
    about = "1: the mail server is left alone for now, since it was away or busy."
    family = GaugeMetricFamily("push_relay_left_alone", about, labels=("relay",))
    for name, is_open in left_alone.items():
        family.add_metric((name,), float(is_open))
    return family


def _build_info(version: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily("push_build_info", "The version that runs.", labels=("version",))
    family.add_metric((version,), 1)
    return family


def _histogram(name: str, about: str, histogram: Histogram) -> HistogramMetricFamily:
    buckets = histogram.buckets()
    bounds = (*(f"{bound:g}" for bound in histogram.bounds), "+Inf")
    counts: list[tuple[str, float]] = list(zip(bounds, buckets.up_to, strict=True))
    family = HistogramMetricFamily(name, about)
    family.add_metric((), buckets=counts, sum_value=buckets.total)
    return family


def _exposition(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Once(tuple(families)))
    return generate_latest(registry)


class _Once(Collector):
    """The families of one scrape; prometheus_client asks collectors, not values."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
