"""The worker's work over a stream of the caller's: what controls and comparisons are made of.

It decides and publishes with the product's own objects and runs in the product's own loop; nothing
of this can be switched on in the product.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from time import monotonic

from consumer import wiring
from consumer.evaluating import Evaluating
from consumer.loop import Loop, one_thread
from consumer.ports import EventStream, PreparedT, Work
from consumer.publications import Publisher
from consumer.repeats import FirstOffset, none_known
from consumer.settings import Settings
from rules_store.cache import RulesCache
from rules_store.loading import SqlRulesSource
from rules_store.sql import engine_for
from schemas.codec import Codec, encode_evaluation
from schemas.framing import single_object_prefix
from schemas.published import EVALUATION, OUTGOING_MAIL, published
from schemas.repeats import SettledId


def run(
    stream: EventStream,
    work: Work[PreparedT],
    most: int,
    stop: threading.Event,
    beside: Callable[[], Executor] = one_thread,
) -> None:
    """Run the product's loop over a stream until asked to stop; nobody counts or watches."""
    with closing(stream):
        Loop(
            stream=stream,
            work=work,
            most=most,
            stop=stop,
            beat=lambda: None,
            collected=lambda _: None,
            postponed=lambda _: None,
            beside=beside,
        ).run()


def work_of(
    settings: Settings,
    stop: threading.Event,
    first_offset: FirstOffset = none_known,
    enter: Callable[[Iterable[SettledId]], None] = lambda _: None,
) -> Evaluating:
    """Return the worker's work by the rules of a database; it knows no repetitions unless told."""
    engine = engine_for(settings.database_url.get_secret_value())
    cache = RulesCache(SqlRulesSource(engine), settings.rules_poll, monotonic)
    cache.start(stop)
    prefix = {
        n: single_object_prefix(published(n).fingerprint) for n in (OUTGOING_MAIL, EVALUATION)
    }
    codec = Codec(wiring.writer_schemas(settings))
    return Evaluating(
        rules=cache.current,
        planner_for=partial(
            wiring.planner,
            settings,
            codec,
            prefix[OUTGOING_MAIL],
            wiring.renderer(settings),
            first_offset=first_offset,
        ),
        enter=enter,
        publisher=Publisher(
            outgoing_mail=settings.topic_outgoing_mail,
            dead_letter=settings.topic_dead_letter,
            evaluation=settings.topic_evaluation,
            repeats=settings.repeats_topic,
            group_id=settings.group_id,
            encode_evaluation=partial(encode_evaluation, prefix=prefix[EVALUATION]),
        ),
        now=wiring.utc_now,
        count=lambda *_: None,
        matched=lambda _: None,
    )
