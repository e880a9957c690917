"""How long a mail takes, against the same templates in ordinary Jinja; `make bench-mails`.

A mail is both bodies, the subject and the encoded record. Each is of another event than the one
before and has one reader, so no finished body is ever found again. All renderers share everything
but the templates: what they are given is the same, and every record must be the same byte for byte.
The bar is held against ordinary Jinja without a sandbox, as everybody would use it, although ours
runs in one; ordinary Jinja in the sandbox of ours is told beside.

`MAILS` is how many mails a round renders, `ROUNDS` how often both take turns.
"""

import gc
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from time import process_time

from mailer.contents import Author
from mailer.rendering import Renderer
from schemas.codec import encode_mail
from schemas.events import PaymentEvent
from schemas.example_events import example_events
from schemas.rules import Recipient, WantedRule
from schemas.vocabulary import DetailLevel, Language
from tests.benchmarks.figures import at_least, machine, report, spread, told
from tests.builders import a_decision, a_recipient, a_renderer, a_rule, a_tenant, a_wanted_rule
from tests.ordinary_jinja import ordinary_templates

MAILS = int(os.environ.get("MAILS", "2000"))
ROUNDS = int(os.environ.get("ROUNDS", "7"))
BAR = 3.0

Asked = tuple[PaymentEvent, WantedRule, Recipient]
DECISION = a_decision()


def main() -> int:
    """Measure, print, and return the exit code."""
    fast = a_renderer()
    slow, boxed = (through_ordinary_jinja(fast, sandboxed=within) for within in (False, True))
    asked = questions(MAILS)
    print(f"{machine()}; {MAILS} mails a round, {ROUNDS} rounds, all take turns")
    for one in asked[: len(KINDS)]:
        assert rendered(fast, one) == rendered(slow, one) == rendered(boxed, one), "records differ"
    print(f"equal byte for byte: one of each of {len(KINDS)} kinds of mail")
    times = take_turns([fast, slow, boxed], asked)
    ours, ordinary, sandboxed = (
        [seconds * 1e6 / MAILS for seconds in each] for each in zip(*times, strict=True)
    )
    ratios = [theirs / own for own, theirs in zip(ours, ordinary, strict=True)]
    boxed_ratios = [theirs / own for own, theirs in zip(ours, sandboxed, strict=True)]
    print(f"µs a mail: ours {spread(ours)}, ordinary Jinja {spread(ordinary)}")
    print(f"times faster: {spread(ratios)}; than in our sandbox: {spread(boxed_ratios)}")
    return report(
        [
            told("mails_us", statistics.median(ours)),
            told("mails_ordinary_jinja_us", statistics.median(ordinary)),
            told("mails_times_faster_than_sandboxed", statistics.median(boxed_ratios)),
            at_least("mails_times_faster", statistics.median(ratios), BAR),
        ]
    )


#: Every example, as much of it as each level tells, in each language.
KINDS = list(product(example_events(), DetailLevel, Language))


def questions(count: int) -> Sequence[Asked]:
    """Return what is rendered: neighbours differ in event and rule."""
    kinds = [_question(event, level, language) for event, level, language in KINDS]
    return [kinds[at % len(kinds)] for at in range(count)]


def _question(event: PaymentEvent, level: DetailLevel, language: Language) -> Asked:
    rule = a_rule(tenant_id=event.tenant_id, detail_internal=level)
    wanted = a_wanted_rule(tenant=a_tenant(tenant_id=event.tenant_id), rule=rule)
    return event, wanted, a_recipient(language=language)


def through_ordinary_jinja(renderer: Renderer, *, sandboxed: bool) -> Renderer:
    """Return a renderer that differs in nothing but how its templates are rendered."""
    authors: dict[Language, Author] = {}
    for language, author in renderer.authors.items():
        slow = ordinary_templates(author.labels.texts, sandboxed=sandboxed)
        authors[language] = replace(author, templates=slow)  # type: ignore[arg-type]  # its one method is asked
    return replace(renderer, authors=authors)


def rendered(renderer: Renderer, asked: Asked) -> bytes:
    """Return the record of one mail."""
    return encode_mail(renderer.render(*asked, DECISION), b"")


def spend(renderer: Renderer, asked: Sequence[Asked]) -> float:
    """Return the seconds of this process that all mails take."""
    began = process_time()
    for event, wanted, recipient in asked:
        encode_mail(renderer.render(event, wanted, recipient, DECISION), b"")
    return process_time() - began


def take_turns(renderers: Sequence[Renderer], asked: Sequence[Asked]) -> list[list[float]]:
    """Return the seconds of each, round by round, after one round that does not count."""
    for renderer in renderers:
        spend(renderer, asked)
    gc.freeze()
    turns = []
    for at in range(ROUNDS):
        turns.append([spend(renderer, asked) for renderer in renderers])
        print(f"round {at + 1} of {ROUNDS}", file=sys.stderr, flush=True)
    return turns


if __name__ == "__main__":
    raise SystemExit(main())
