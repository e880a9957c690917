import json
from dataclasses import fields
from importlib import resources

import pytest

from schemas.codec import encode_event
from schemas.events import PaymentFileRejected, PaymentStatusUpdated
from schemas.example_events import example_events, examples_by_name
from schemas.fields import event_from_fields, is_uuid
from schemas.published import published
from schemas.vocabulary import TICKABLE


def test_every_tickable_status_has_an_example_named_after_it() -> None:
    named = {
        name.removeprefix("payment-status-updated."): event.routing.status
        for name, event in examples_by_name().items()
        if isinstance(event, PaymentStatusUpdated)
    }

    assert named == {status.value: status.value for status in TICKABLE}


def test_a_refused_file_has_examples_with_and_without_a_file() -> None:
    refused = [event for event in example_events() if isinstance(event, PaymentFileRejected)]

    assert {event.file_id is None for event in refused} == {True, False}
    assert "SALA" in {event.category_purpose for event in refused}


def test_every_example_is_an_event_of_its_own() -> None:
    ids = [event.event_id for event in example_events()]

    assert len(set(ids)) == len(ids) == 13
    assert all(map(is_uuid, ids))


@pytest.mark.parametrize("name", sorted(examples_by_name()))
def test_no_field_of_an_example_is_left_out_as_unreadable(name: str) -> None:
    event = examples_by_name()[name]

    written = json.loads((resources.files("schemas") / f"examples/{name}.json").read_text("utf-8"))
    read = {field.name: getattr(event, field.name) for field in fields(event)}
    assert {field for field, value in written.items() if value} == {
        field for field, value in read.items() if value
    }
    assert all(account.iban is not None for account in event.accounts)


@pytest.mark.parametrize("name", sorted(examples_by_name()))
def test_every_example_survives_its_schema(name: str) -> None:
    event = examples_by_name()[name]
    event_type = event.routing.event_type

    read = published(event_type).read(encode_event(event, b""), 0)

    assert event_from_fields(event_type, read) == event
