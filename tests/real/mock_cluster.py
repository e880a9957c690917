"""librdkafka's mock cluster through its C interface: the one broker that fails when it is told to.

It is no oracle for exactly once (kafka.md, section 7.2): it shows what the client makes of an
error. The interface promises no ABI, so a symbol that is missing is said loudly, not skipped: the
client was upgraded, and these tests must be looked at.
"""

import ctypes as c
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import confluent_kafka

#: What an error is injected into (Kafka protocol, API keys).
PRODUCE, FETCH, LIST_OFFSETS, HEARTBEAT, INIT_PRODUCER_ID = 0, 1, 2, 12, 22
ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 24, 25, 26, 28

_HANDLE, _NUMBER, _TEXT = c.c_void_p, c.c_int, c.c_char_p  # handles have 64 bits
_SIGNATURES = {
    "rd_kafka_conf_new": (_HANDLE, []),
    "rd_kafka_new": (_HANDLE, [_NUMBER, _HANDLE, _TEXT, c.c_size_t]),
    "rd_kafka_destroy": (None, [_HANDLE]),
    "rd_kafka_mock_cluster_new": (_HANDLE, [_HANDLE, _NUMBER]),
    "rd_kafka_mock_cluster_destroy": (None, [_HANDLE]),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, [_HANDLE]),
    "rd_kafka_mock_topic_create": (_NUMBER, [_HANDLE, _TEXT, _NUMBER, _NUMBER]),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        [_HANDLE, c.c_int16, c.c_size_t, c.POINTER(_NUMBER)],
    ),
    # A list of pairs of ints follows: an error, and how late it is answered.
    "rd_kafka_mock_broker_push_request_error_rtts": (
        _NUMBER,
        [_HANDLE, c.c_int32, c.c_int16, c.c_size_t],
    ),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_HANDLE, c.c_int32]),
}


class SymbolsMissing(AssertionError):
    """The client's library no longer has what these tests drive it by."""


@cache
def library() -> c.CDLL:
    """Return the client's own library with the mock's functions declared."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    found = sorted(folder.glob("librdkafka*"))
    if not found:
        raise SymbolsMissing(f"no librdkafka in {folder}")
    loaded = c.CDLL(str(found[0]))
    missing = [name for name in _SIGNATURES if not hasattr(loaded, name)]
    if missing:
        version = confluent_kafka.libversion()[0]
        raise SymbolsMissing(f"librdkafka {version} has no {', '.join(missing)}")
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


class MockCluster:
    """One mock broker and its topics."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        """Start it with so many partitions for each topic."""
        kafka = library()
        self._client = kafka.rd_kafka_new(
            0, kafka.rd_kafka_conf_new(), c.create_string_buffer(512), 512
        )
        self._cluster = kafka.rd_kafka_mock_cluster_new(self._client, 1)
        self.bootstrap: str = kafka.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        for name, partitions in topics.items():
            kafka.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        kafka.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    def answer(self, api_key: int, *codes: int) -> None:
        """Let the next requests of a kind be answered with these errors, one after another."""
        errors = (c.c_int * len(codes))(*codes)
        library().rd_kafka_mock_push_request_errors_array(
            self._cluster, api_key, len(codes), errors
        )

    def answer_late(self, api_key: int, milliseconds: int) -> None:
        """Let the next request of a kind be answered well, after so long."""
        library().rd_kafka_mock_broker_push_request_error_rtts(
            self._cluster, 1, api_key, 1, 0, milliseconds
        )

    def end(self) -> None:
        """Leave nothing of it."""
        kafka = library()
        kafka.rd_kafka_mock_cluster_destroy(self._cluster)
        kafka.rd_kafka_destroy(self._client)
