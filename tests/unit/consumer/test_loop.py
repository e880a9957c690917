import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from consumer.loop import Loop, pauses
from consumer.memory import MemoryStream, MemoryTopics
from schemas.errors import AccessDenied, KafkaUnavailable, RegistryUnavailable
from schemas.records import Batch, Publication

NO_PAUSE = (timedelta(0),)


@dataclass
class Copying:
    """Publishes each record's value, and stops the loop after so many settled batches."""

    stop: threading.Event
    batches: int = 1
    failures: list[Exception] = field(default_factory=list)
    seen: list[Batch] = field(default_factory=list)

    def publications(self, batch: Batch) -> Sequence[Publication]:
        if self.failures:
            raise self.failures.pop(0)
        return [Publication(topic="out", key=None, value=r.value) for r in batch.records]

    def settled(self, batch: Batch, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append(batch)
        if len(self.seen) == self.batches:
            self.stop.set()


def run(topics: MemoryTopics, work: Copying, **changes: object) -> list[str]:
    postponed: list[str] = []
    stream = changes.pop("stream", None) or MemoryStream(topics=topics, reads=["in"], most=1)
    assert isinstance(stream, MemoryStream)
    Loop(
        stream=stream,
        work=work,
        stop=work.stop,
        beat=lambda: None,
        collected=lambda _: None,
        postponed=postponed.append,
        schedule=NO_PAUSE,
    ).run()
    return postponed


def values(topics: MemoryTopics) -> list[bytes | None]:
    return [publication.value for publication in topics.published]


def test_batches_are_settled_one_after_another_until_asked_to_stop() -> None:
    topics, work = MemoryTopics(), Copying(threading.Event(), batches=2)
    for value in (b"1", b"2", b"3"):
        topics.append("in", value)

    run(topics, work)

    assert values(topics) == [b"1", b"2"]


def test_a_batch_whose_work_fails_for_now_comes_again() -> None:
    topics, work = MemoryTopics(), Copying(threading.Event(), failures=[RegistryUnavailable()])
    topics.append("in", b"1")

    postponed = run(topics, work)

    assert (values(topics), postponed) == ([b"1"], ["RegistryUnavailable"])


def test_a_batch_that_could_not_be_settled_comes_again() -> None:
    topics, work = MemoryTopics(), Copying(threading.Event())
    topics.append("in", b"1")
    failures = [KafkaUnavailable()]

    def fail(step: str) -> None:
        if step == "settle" and failures:
            raise failures.pop()

    run(topics, work, stream=MemoryStream(topics=topics, reads=["in"], fail=fail))

    assert values(topics) == [b"1"]


def test_a_batch_settled_without_a_known_answer_is_not_published_twice() -> None:
    topics, work = MemoryTopics(), Copying(threading.Event())
    topics.append("in", b"1")
    failures = [KafkaUnavailable()]

    def fail(step: str) -> None:
        if step == "settled" and failures:
            topics.append("in", b"2")
            raise failures.pop()

    run(topics, work, stream=MemoryStream(topics=topics, reads=["in"], fail=fail))

    assert values(topics) == [b"1", b"2"]


def test_what_a_human_must_see_ends_the_loop() -> None:
    topics, work = MemoryTopics(), Copying(threading.Event(), failures=[AccessDenied()])
    topics.append("in", b"1")

    with pytest.raises(AccessDenied):
        run(topics, work)

    assert values(topics) == []


def test_the_last_pause_goes_on_without_end() -> None:
    waiting = pauses((timedelta(seconds=1), timedelta(seconds=2)))

    assert [next(waiting).total_seconds() for _ in range(4)] == [1, 2, 2, 2]
