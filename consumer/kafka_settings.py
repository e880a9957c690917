"""How our Kafka clients are set, each property with its reason (kafka.md, sections 2 and 6).

An operator may set any other property, and all but those the loop owns, by `PUSH_KAFKA_…`.
"""

from collections.abc import Mapping
from types import MappingProxyType

#: What the loop owns, and which setting to use instead or why there is none.
OWNED = MappingProxyType(
    {
        "group.id": "set PUSH_GROUP_ID",
        "transactional.id": "set PUSH_TRANSACTIONAL_ID",
        "enable.auto.commit": "offsets are part of each transaction",
        "enable.auto.offset.store": "offsets are part of each transaction",
        "isolation.level": "only committed records may be read",
        "enable.idempotence": "transactions need it",
        "partition.assignment.strategy": "cooperative-sticky; the broker's own by "
        "PUSH_KAFKA_GROUP_PROTOCOL=consumer",
        "auto.offset.reset": "a partition whose place is lost is never guessed; see run --from",
        "on_delivery": "the transaction's commit tells what a callback could",
    }
)

_CONSUMER: Mapping[str, str | int | bool] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",  # a place that is lost is looked into, never guessed
    "isolation.level": "read_committed",
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 15_000,
    "heartbeat.interval.ms": 3_000,
    "max.poll.interval.ms": 120_000,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 10,  # the default, 1000, stalls the fetcher on a backlog
    "queued.min.messages": 20_000,
    "queued.max.messages.kbytes": 32_768,
    "allow.auto.create.topics": False,
    "topic.metadata.refresh.interval.ms": 10_000,  # a topic or partition made later is felt soon
    "client.id": "push-services",
}
_CLASSIC_GROUP_ONLY = (
    "partition.assignment.strategy",
    "session.timeout.ms",
    "heartbeat.interval.ms",
)

_PRODUCER: Mapping[str, str | int | bool] = {
    "transaction.timeout.ms": 20_000,  # bounds how long a new owner waits for a dead one's records
    "linger.ms": 0,  # the commit flushes
    "retry.backoff.ms": 1,  # the default, 100, is what every small transaction would then take
    "retry.backoff.max.ms": 500,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 200_000,
    "batch.size": 1_000_000,
    "message.max.bytes": 10_485_760,  # a dead letter is larger than its record
    "topic.metadata.refresh.interval.ms": 10_000,  # a partition made later is felt soon
    "client.id": "push-services",
}

_ONLY_CONSUMERS = frozenset(
    {
        "auto.offset.reset",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "max.poll.interval.ms",
        "check.crcs",
        "enable.partition.eof",
        *_CLASSIC_GROUP_ONLY,
        "group.protocol.type",
        "coordinator.query.interval.ms",
    }
)
_ONLY_CONSUMERS_PREFIXES = ("fetch.", "queued.")
_ONLY_PRODUCERS = frozenset(
    {
        "transaction.timeout.ms",
        "linger.ms",
        "batch.size",
        "batch.num.messages",
        "compression.codec",
        "compression.type",
        "compression.level",
        "delivery.report.only.error",
        "delivery.timeout.ms",
        "message.timeout.ms",
        "message.send.max.retries",
        "retries",
        "acks",
        "request.required.acks",
        "request.timeout.ms",
        "enable.gapless.guarantee",
        "partitioner",
        "queuing.strategy",
        "msg_order_cmp",
        "sticky.partitioning.linger.ms",
        "max.in.flight",
    }
)
_ONLY_PRODUCERS_PREFIXES = ("queue.buffering.",)

Properties = dict[str, str | int | float | bool]


def consumer_properties(
    bootstrap_servers: str, group_id: str, given: Mapping[str, str]
) -> Properties:
    """Return a consumer's properties; what an operator gave wins over ours."""
    ours = dict(_CONSUMER)
    if given.get("group.protocol", "").lower() == "consumer":
        ours = {name: v for name, v in ours.items() if name not in _CLASSIC_GROUP_ONLY}
    suitable = {name: v for name, v in given.items() if _suits_consumer(name)}
    return {
        **ours,
        **suitable,
        "bootstrap.servers": bootstrap_servers,
        "group.id": group_id,
        "enable.auto.commit": False,
    }


def reader_properties(
    bootstrap_servers: str, group_id: str, given: Mapping[str, str]
) -> Properties:
    """Return the properties of a consumer that joins no group and is told what to read."""
    joining = consumer_properties(bootstrap_servers, group_id, given)
    left = {n: v for n, v in joining.items() if n not in ("group.protocol", "group.instance.id")}
    return {**left, "auto.offset.reset": "earliest", "enable.partition.eof": True}


def producer_properties(
    bootstrap_servers: str, transactional_id: str, given: Mapping[str, str]
) -> Properties:
    """Return a transactional producer's properties; what an operator gave wins over ours."""
    suitable = {name: v for name, v in given.items() if _suits_producer(name)}
    return {
        **_PRODUCER,
        **suitable,
        "bootstrap.servers": bootstrap_servers,
        "transactional.id": transactional_id,
    }


def client_properties(bootstrap_servers: str, given: Mapping[str, str]) -> Properties:
    """Return what any client needs to reach the brokers, for questions about topics."""
    shared = {n: v for n, v in given.items() if _suits_consumer(n) and _suits_producer(n)}
    # It says only what is critical: who asks says in the log what came of it.
    return {**shared, "bootstrap.servers": bootstrap_servers, "log_level": 2}


def _suits_consumer(name: str) -> bool:
    return name not in _ONLY_PRODUCERS and not name.startswith(_ONLY_PRODUCERS_PREFIXES)


def _suits_producer(name: str) -> bool:
    return name not in _ONLY_CONSUMERS and not name.startswith(_ONLY_CONSUMERS_PREFIXES)
