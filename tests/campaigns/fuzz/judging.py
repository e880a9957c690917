"""The product's own way of a record: peek, match, decode, render, publications; and what came out.

Anything but an outcome or a typed dead letter is a finding: an exception, and a dead letter that
says `internal`, which is one that the planner caught.
"""

import gc
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from consumer.planning import Planner
from consumer.publications import Publisher
from consumer.registry import RegistrySchemas
from rules_store.snapshot import Snapshot
from schemas.codec import Codec, encode_evaluation, encode_mail
from schemas.plans import Decision, Plan, Share
from schemas.rules import ExternalRecipient, OnFileRejected, Rule, TenantRules
from schemas.vocabulary import (
    DeadLetterReason,
    DetailLevel,
    EventType,
    Generation,
    Language,
    RuleId,
    SubjectFact,
    TenantId,
)
from tests.builders import a_renderer, a_rule, a_tenant, a_user, rules_at
from tests.campaigns.fuzz.records import Fuzzed
from tests.campaigns.fuzz.schemas import KnownSchemas
from tests.campaigns.fuzz.values import TENANTS

DECISION = Decision(datetime(2026, 11, 25, tzinfo=UTC), Generation(1))
EXAMPLES = 20  # findings that are told in full
SLOW = 0.1  # seconds from which on a record's processor time is asked for


@dataclass
class Judged:
    """What came of the records."""

    records: int = 0
    mails: int = 0
    by_mutation: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    slowest: float = 0.0  # seconds of processor time that one record took, if over `SLOW`
    resident: list[float] = field(default_factory=list)  # bytes, sampled along the way
    blocks: list[float] = field(default_factory=list)  # pieces of memory Python holds, as often

    @property
    def warm(self) -> float:
        """Return the resident memory once it is warm."""
        return warm(self.resident)

    @property
    def dead_letters(self) -> int:
        """Return how many records or rules' shares became dead letters."""
        return sum(
            count
            for outcomes in self.by_mutation.values()
            for outcome, count in outcomes.items()
            if outcome in {str(reason) for reason in DeadLetterReason}
        )


def warm(sampled: Sequence[float]) -> float:
    """Return the median of the second tenth: the first warms up."""
    tenth = len(sampled) // 10
    return median(sampled[tenth : 2 * tenth + 1])


def grown(sampled: Sequence[float]) -> float:
    """Return the share by which it grew from the second tenth to the last.

    Medians, since a single record of a mebibyte comes and goes.
    """
    tenth = len(sampled) // 10
    return median(sampled[-tenth - 1 :]) / warm(sampled) - 1


def a_planner(codec: Codec | None = None) -> Planner:
    """Return a planner whose rules want every event, at every level of detail."""
    return Planner(
        rules=Snapshot.compile(rules_at(*(_tenant(name) for name in TENANTS))),
        codec=codec or Codec(RegistrySchemas(KnownSchemas())),
        render=a_renderer().render,
        encode=partial(encode_mail, prefix=b"\0\0\0\0\1"),
        event_types={str(event_type): event_type for event_type in EventType},
        group_id="group",
        engine_version="fuzz",
        decision=DECISION,
    )


def _tenant(name: str) -> TenantRules:
    user = a_user(language=Language.EN)
    every = partial(
        a_rule,
        tenant_id=TenantId(name),
        detail_internal=DetailLevel.FULL,
        detail_external=DetailLevel.STANDARD,
        subject="{{ status }} {{ amount }} {{ reference }}",
        subject_may_show=frozenset(SubjectFact),
        external_recipients=(ExternalRecipient(address="steuer@kanzlei.example"),),
    )
    rules: tuple[Rule, ...] = (
        every(rule_id=RuleId("r-all")),
        every(rule_id=RuleId("r-file"), trigger=OnFileRejected()),
    )
    tenant = a_tenant(tenant_id=TenantId(name))
    return TenantRules(tenant=tenant, users={user.user_id: user}, rules=rules)


PUBLISHER = Publisher(
    outgoing_mail="outgoing-mail",
    dead_letter="dead-letter",
    evaluation="evaluation",
    repeats="repeats",
    group_id="group",
    encode_evaluation=partial(encode_evaluation, prefix=b"\0\0\0\0\2"),
)


def judge(
    records: Iterable[Fuzzed],
    planner: Planner,
    *,
    sample: int = 100,
    told: Callable[[Judged], None] = lambda _: None,
) -> Judged:
    """Judge one record after another, looking at the memory after each `sample` of them."""
    judged = Judged()
    for fuzzed in records:
        _judge_one(judged, planner, fuzzed)
        judged.records += 1
        if judged.records % sample == 0:
            judged.resident.append(resident())
            gc.collect()  # what only waits for the collector is no growth
            judged.blocks.append(float(sys.getallocatedblocks()))
        if judged.records % 10_000 == 0:
            told(judged)
    return judged


def _judge_one(judged: Judged, planner: Planner, fuzzed: Fuzzed) -> None:
    began = time.perf_counter()
    try:
        share = planner.share(fuzzed.record)
        plan = Plan(shares=((fuzzed.record, share),), evaluations=())
        PUBLISHER.publications(plan, DECISION.at)
    except Exception as error:  # noqa: BLE001  the finding that this is all about
        _note(judged, fuzzed, f"raised {type(error).__name__}: {error}")
        return
    if time.perf_counter() - began > SLOW:
        judged.slowest = max(judged.slowest, _processor_seconds(planner, fuzzed))
    judged.mails += len(share.mails)
    counts = judged.by_mutation.setdefault(fuzzed.mutation, Counter())
    counts.update(_words(share))
    for letter in share.dead_letters:
        if letter.reason is DeadLetterReason.INTERNAL:
            _note(judged, fuzzed, letter.detail)


def _processor_seconds(planner: Planner, fuzzed: Fuzzed) -> float:
    """Judge it once more: the wall's clock counts what else the machine does."""
    began = time.process_time()
    planner.share(fuzzed.record)
    return time.process_time() - began


def _words(share: Share) -> list[str]:
    return [str(letter.reason) for letter in share.dead_letters] or [str(share.outcome)]


def _note(judged: Judged, fuzzed: Fuzzed, what: str) -> None:
    value = fuzzed.record.value
    begins = "null" if value is None else f"{len(value)} bytes {value[:80].hex()}"
    judged.findings.append(
        f"{fuzzed.record.offset} {fuzzed.record.topic} {fuzzed.mutation}: {what}; {begins}"
    )


def resident() -> float:
    """Return the resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize())
