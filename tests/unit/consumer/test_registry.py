import gc
import json
import socket
from collections.abc import Iterator

import pytest

from consumer.registry import (
    MOST_UNKNOWN,
    PublishedSchemas,
    Registry,
    RegistrySchemas,
)
from schemas.errors import (
    AccessDenied,
    InvalidEvent,
    InvalidSettings,
    PushError,
    RegistryUnavailable,
)
from schemas.framing import Fingerprint, RegistryGuid, RegistryId
from schemas.published import NAMES, published, text_of
from schemas.vocabulary import DeadLetterReason, EventType
from tests.registry_double import Answer, RegistryDouble, registry_double

UPDATED = EventType.PAYMENT_STATUS_UPDATED
SUBJECT = "payment-status-updated-value"
SEVEN = RegistryId(7)
GUID = RegistryGuid("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")


class SetClock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def double() -> Iterator[RegistryDouble]:
    with registry_double() as double:
        yield double
    gc.collect()  # an open socket would now warn, and a warning is an error


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def schemas(double: RegistryDouble, clock: SetClock) -> RegistrySchemas:
    return RegistrySchemas(Registry(double.url, timeout=0.2), clock)


def reason_of(error: pytest.ExceptionInfo[InvalidEvent]) -> DeadLetterReason:
    return error.value.reason


@pytest.mark.parametrize("name", NAMES)
def test_without_a_registry_our_own_schemas_are_known_by_fingerprint(name: str) -> None:
    schema = published(name)

    assert PublishedSchemas().named(schema.fingerprint) is schema


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        pytest.param(Fingerprint("00" * 8), "no published schema", id="fingerprint"),
        pytest.param(SEVEN, "no registry is configured", id="registry id"),
        pytest.param(GUID, "no registry is configured", id="GUID"),
    ],
)
def test_without_a_registry_other_schemas_are_unknown(
    schema: Fingerprint | RegistryId | RegistryGuid, complaint: str
) -> None:
    with pytest.raises(InvalidEvent, match=complaint) as caught:
        PublishedSchemas().named(schema)

    assert reason_of(caught) is DeadLetterReason.UNKNOWN_SCHEMA


def test_with_a_registry_fingerprints_are_still_our_own(
    schemas: RegistrySchemas, double: RegistryDouble
) -> None:
    assert schemas.named(published(UPDATED).fingerprint) is published(UPDATED)
    assert double.questions == []


def test_a_known_id_is_asked_for_once(
    schemas: RegistrySchemas, double: RegistryDouble, clock: SetClock
) -> None:
    double.says("/schemas/ids/7", {"schema": text_of(UPDATED)})

    first = schemas.named(SEVEN)
    clock.seconds = 1e9
    second = schemas.named(SEVEN)

    assert first is second
    assert first.fingerprint == published(UPDATED).fingerprint
    assert double.paths() == ["/schemas/ids/7"]


def test_a_guid_is_asked_for_by_its_own_path(
    schemas: RegistrySchemas, double: RegistryDouble
) -> None:
    double.says(f"/schemas/guids/{GUID.text}", {"schema": text_of(UPDATED)})

    assert schemas.named(GUID).name == "push_services.PaymentStatusUpdated"


def test_an_unknown_id_is_not_asked_for_again_for_thirty_seconds(
    schemas: RegistrySchemas, double: RegistryDouble, clock: SetClock
) -> None:
    for clock.seconds in (0.0, 10.0, 29.9):
        with pytest.raises(InvalidEvent, match="does not know") as caught:
            schemas.named(SEVEN)

        assert reason_of(caught) is DeadLetterReason.UNKNOWN_SCHEMA

    assert double.paths() == ["/schemas/ids/7"]


def test_an_id_that_was_unknown_may_become_known(
    schemas: RegistrySchemas, double: RegistryDouble, clock: SetClock
) -> None:
    with pytest.raises(InvalidEvent):
        schemas.named(SEVEN)
    double.says("/schemas/ids/7", {"schema": text_of(UPDATED)})
    clock.seconds = 30.0

    assert schemas.named(SEVEN).name == "push_services.PaymentStatusUpdated"


NOT_AVRO = [
    pytest.param({"schemaType": "PROTOBUF", "schema": 'syntax = "proto3";'}, id="Protocol Buffers"),
    pytest.param({"schemaType": "JSON", "schema": "{}"}, id="JSON Schema"),
    pytest.param({"schema": "{}"}, id="Avro that is none"),
]


@pytest.mark.parametrize("said", NOT_AVRO)
def test_a_schema_that_is_not_avro_is_unknown(
    schemas: RegistrySchemas, double: RegistryDouble, said: dict[str, str]
) -> None:
    double.says("/schemas/ids/7", said)

    with pytest.raises(InvalidEvent, match="not Avro") as caught:
        schemas.named(SEVEN)

    assert reason_of(caught) is DeadLetterReason.UNKNOWN_SCHEMA


@pytest.mark.parametrize("said", NOT_AVRO)
def test_a_schema_that_is_not_avro_is_not_asked_for_with_each_record(
    schemas: RegistrySchemas, double: RegistryDouble, said: dict[str, str]
) -> None:
    # Each such record cost a request: a topic of them would have come to a stop.
    double.says("/schemas/ids/7", said)

    for _ in range(3):
        with pytest.raises(InvalidEvent, match="not Avro"):
            schemas.named(SEVEN)

    assert double.paths() == ["/schemas/ids/7"]


@pytest.mark.parametrize("kind", ["AVRO", None])
def test_a_schema_may_say_that_it_is_avro_or_nothing(
    schemas: RegistrySchemas, double: RegistryDouble, kind: str | None
) -> None:
    double.says("/schemas/ids/7", {"schemaType": kind, "schema": text_of(UPDATED)})

    assert schemas.named(SEVEN).name == "push_services.PaymentStatusUpdated"


class KnowsNothing(Registry):
    """A registry that notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__("http://unused.example")
        self.asked: list[str] = []

    def schema_text(self, path: str) -> str | None:
        self.asked.append(path)
        return None


def ask_for(schemas: RegistrySchemas, number: int) -> None:
    with pytest.raises(InvalidEvent):
        schemas.named(RegistryId(number))


def test_noise_does_not_fill_the_memory(clock: SetClock) -> None:
    noisy = RegistrySchemas(KnowsNothing(), clock)

    for number in range(MOST_UNKNOWN + 10):
        ask_for(noisy, number)

    assert len(noisy._not_found) == MOST_UNKNOWN


def test_one_id_too_many_makes_only_the_oldest_forgotten(clock: SetClock) -> None:
    # Failed when all were forgotten at once: each was asked for again, and memory came and went.
    registry = KnowsNothing()
    noisy = RegistrySchemas(registry, clock)
    for number in range(MOST_UNKNOWN + 1):
        ask_for(noisy, number)
    registry.asked.clear()

    for number in (1, 0):
        ask_for(noisy, number)

    assert registry.asked == ["schemas/ids/0"]


GARBAGE = [
    pytest.param(Answer(code=500), id="500"),
    pytest.param(Answer(code=503, body=b'{"error_code": 50301}'), id="503"),
    pytest.param(Answer(code=429), id="too many requests"),
    pytest.param(Answer(code=408), id="request timeout"),
    pytest.param(Answer(code=405), id="a method nobody knows"),
    pytest.param(Answer(code=421), id="the wrong server"),
    pytest.param(Answer(code=307), id="a redirect to nowhere"),
    pytest.param(Answer(body=b""), id="nothing"),
    pytest.param(Answer(body=b"<html>Sign in</html>"), id="a page"),
    pytest.param(Answer(body=b'{"schema": "{'), id="JSON cut off"),
    pytest.param(Answer(body=b'{"schema": "', missing=100), id="cut inside"),
    pytest.param(Answer(body=b"\xff\xfe\xfa"), id="no UTF-8"),
    pytest.param(Answer(body=b"[" * 100_000), id="nested beyond reason"),
    pytest.param(Answer(body=b"[]"), id="a list"),
    pytest.param(Answer(body=b"null"), id="null"),
    pytest.param(Answer(body=b"{}"), id="an empty object"),
    pytest.param(Answer(body=b'{"schema": 7, "id": "7"}'), id="wrong types"),
    pytest.param(Answer(body=b'{"schema": null, "id": null}'), id="nulls"),
    pytest.param(Answer(body=b'{"schema": ["a"], "id": true}'), id="an id of true"),
    pytest.param(Answer(body=b'{"schema": false, "id": 4294967296}'), id="an id too large"),
    pytest.param(Answer(body=b'{"schema": {}, "id": -1}'), id="an id below nothing"),
    pytest.param(Answer(body=b'"' + b"a" * 2_000_000 + b'"'), id="two megabytes"),
]


@pytest.mark.parametrize("answer", GARBAGE)
def test_an_answer_nobody_understands_is_waited_for(
    schemas: RegistrySchemas, double: RegistryDouble, answer: Answer
) -> None:
    double.answers["/schemas/ids/7"] = answer

    with pytest.raises(RegistryUnavailable):
        schemas.named(SEVEN)


@pytest.mark.parametrize("answer", GARBAGE)
def test_an_id_nobody_understands_is_waited_for(double: RegistryDouble, answer: Answer) -> None:
    registry = Registry(double.url, timeout=0.2)
    double.answers[f"/subjects/{SUBJECT}/versions"] = answer
    double.answers[f"/subjects/{SUBJECT}"] = answer

    with pytest.raises(RegistryUnavailable):
        registry.register(SUBJECT, UPDATED)
    with pytest.raises(RegistryUnavailable):
        registry.look_up(SUBJECT, UPDATED)


def test_an_outage_is_not_remembered(schemas: RegistrySchemas, double: RegistryDouble) -> None:
    double.answers["/schemas/ids/7"] = Answer(code=503)
    with pytest.raises(RegistryUnavailable):
        schemas.named(SEVEN)

    double.says("/schemas/ids/7", {"schema": text_of(UPDATED)})

    assert schemas.named(SEVEN).name == "push_services.PaymentStatusUpdated"


def test_a_registry_that_is_silent_is_waited_for(
    schemas: RegistrySchemas, double: RegistryDouble
) -> None:
    double.silent.clear()

    with pytest.raises(RegistryUnavailable):
        schemas.named(SEVEN)


def test_a_registry_that_is_away_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # free again in a moment

    with pytest.raises(RegistryUnavailable):
        Registry(f"http://127.0.0.1:{port}").look_up(SUBJECT, UPDATED)


def test_a_peer_that_speaks_no_http_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        registry = Registry(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)

        with pytest.raises(RegistryUnavailable):
            registry.look_up(SUBJECT, UPDATED)


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_of_our_credentials_is_fatal(
    schemas: RegistrySchemas, double: RegistryDouble, code: int
) -> None:
    double.answers["/schemas/ids/7"] = Answer(code=code)

    with pytest.raises(AccessDenied, match=f"registry: HTTP {code}"):
        schemas.named(SEVEN)


def test_a_schema_of_ours_is_registered(double: RegistryDouble) -> None:
    double.says(f"/subjects/{SUBJECT}/versions", {"id": 42})

    number = Registry(double.url).register(SUBJECT, UPDATED)

    question = double.questions[0]
    assert number == 42
    assert (question.method, question.body) == ("POST", {"schema": text_of(UPDATED)})
    assert question.content_type == "application/vnd.schemaregistry.v1+json"
    assert json.loads(question.body["schema"])["name"] == "PaymentStatusUpdated"


def test_a_schema_of_ours_is_looked_up(double: RegistryDouble) -> None:
    double.says(f"/subjects/{SUBJECT}", {"subject": SUBJECT, "id": 42, "version": 1})

    assert Registry(double.url).look_up(SUBJECT, UPDATED) == 42
    assert double.questions[0].body == {"schema": text_of(UPDATED)}


def test_a_schema_that_is_not_there_is_none(double: RegistryDouble) -> None:
    assert Registry(double.url).look_up(SUBJECT, UPDATED) is None


def test_a_path_that_is_not_there_cannot_be_registered_at(double: RegistryDouble) -> None:
    with pytest.raises(RegistryUnavailable, match=f"no such path for subject {SUBJECT}"):
        Registry(double.url).register(SUBJECT, UPDATED)


@pytest.mark.parametrize("code", [409, 422])
def test_a_schema_that_is_refused_is_a_fault_of_the_settings(
    double: RegistryDouble, code: int
) -> None:
    double.answers[f"/subjects/{SUBJECT}/versions"] = Answer(code=code)

    with pytest.raises(InvalidSettings) as caught:
        Registry(double.url).register(SUBJECT, UPDATED)

    assert caught.value.faults == (
        f"PUSH_SCHEMA_REGISTRY_URL: the registry refuses our schema (HTTP {code})",
    )


@pytest.mark.parametrize(
    ("subject", "spelt"),
    [
        pytest.param("a.b_c-value", "a.b_c-value", id="what a topic may have"),
        pytest.param("a/b value", "a%2Fb%20value", id="slash and space"),
        pytest.param("a?b#c%d", "a%3Fb%23c%25d", id="signs of URLs"),
        pytest.param(":.ctx:ä", "%3A.ctx%3A%C3%A4", id="a context and an umlaut"),
    ],
)
def test_a_subject_is_one_step_of_the_path(
    double: RegistryDouble, subject: str, spelt: str
) -> None:
    double.says(f"/subjects/{spelt}/versions", {"id": 1})
    double.says(f"/subjects/{spelt}", {"id": 2})
    registry = Registry(double.url)

    assert (registry.register(subject, UPDATED), registry.look_up(subject, UPDATED)) == (1, 2)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_the_url_may_have_a_path(double: RegistryDouble, end: str) -> None:
    double.says("/apis/ccompat/v7/subjects/s", {"id": 7})

    assert Registry(f"{double.url}/apis/ccompat/v7{end}").look_up("s", UPDATED) == 7


@pytest.mark.parametrize(
    ("user_info", "sent"),
    [
        pytest.param("reader:secret", "reader:secret", id="plain"),
        pytest.param("reader:s%40c%3Ar%2Fet%25", "reader:s@c:r/et%", id="escaped"),
        pytest.param("key", "key:", id="no password"),
        pytest.param("r%C3%A4der:ge%C3%BCbt", "räder:geübt", id="umlauts"),
    ],
)
def test_user_info_in_the_url_is_sent_as_basic_authentication(
    double: RegistryDouble, user_info: str, sent: str
) -> None:
    double.says(f"/subjects/{SUBJECT}", {"id": 7})

    Registry(double.with_user(user_info)).look_up(SUBJECT, UPDATED)

    assert double.questions[0].user == sent


def test_without_user_info_nobody_is_named(double: RegistryDouble) -> None:
    Registry(double.url).look_up(SUBJECT, UPDATED)

    assert double.questions[0].user is None


def test_a_redirect_does_not_take_the_password_along(double: RegistryDouble) -> None:
    # urllib hands every header of a request on to wherever the answer points.
    with registry_double() as other:
        other.says("/schemas/ids/7", {"schema": text_of(UPDATED)})
        there = {"Location": f"{other.url}/schemas/ids/7"}
        double.answers["/schemas/ids/7"] = Answer(code=302, headers=there)

        RegistrySchemas(Registry(double.with_user("reader:secret"))).named(SEVEN)

        assert [question.user for question in other.questions] == [None]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(code=401),
        Answer(code=500),
        Answer(body=b"<html>"),
        Answer(code=409),
        Answer(code=404),
    ],
    ids=["denied", "failed", "garbage", "refused", "not there"],
)
def test_no_error_shows_the_password(double: RegistryDouble, answer: Answer) -> None:
    double.answers[f"/subjects/{SUBJECT}/versions"] = answer
    registry = Registry(double.with_user("reader:secret"))

    with pytest.raises(PushError) as caught:
        registry.register(SUBJECT, UPDATED)

    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {registry!r}"
    assert "secret" not in shown
    assert "cmVhZGVyOnNlY3JldA" not in shown  # the same in base64
