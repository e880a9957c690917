from schemas.vocabulary import (
    STATUS_PRESETS,
    TICKABLE,
    DeadLetterReason,
    EventType,
    Outcome,
    PaymentStatus,
    Verdict,
)


def test_ten_of_the_eleven_statuses_can_be_ticked() -> None:
    assert len(PaymentStatus) == 11
    assert set(PaymentStatus) - set(TICKABLE) == {PaymentStatus.KON_REJECTED}


def test_a_rejected_file_is_an_event_type_and_no_status_to_tick() -> None:
    assert not PaymentStatus.KON_REJECTED.tickable


def test_the_one_preset_is_what_the_product_calls_not_executed() -> None:
    assert {name: sorted(statuses) for name, statuses in STATUS_PRESETS.items()} == {
        "not_executed": [
            "FIN_REJECTED",
            "FIN_UPLOAD_FAILED",
            "FIN_UPLOAD_UNCLEAR",
            "FIN_VEU_CANCELED",
        ]
    }


def test_every_preset_can_be_ticked() -> None:
    assert all(statuses <= set(TICKABLE) for statuses in STATUS_PRESETS.values())


def test_event_types_are_the_default_names_of_their_topics() -> None:
    assert list(EventType) == ["payment-file-rejected", "payment-status-updated"]


def test_outcomes_stand_in_the_order_in_which_the_first_wins() -> None:
    assert list(Outcome) == [
        "unreadable",
        "repeated",
        "no_rules",
        "unknown_status",
        "unchanged",
        "no_match",
        "failed",
        "mailed",
        "no_recipient",
        "lost",
    ]


def test_verdicts_stand_in_the_order_in_which_the_first_wins() -> None:
    assert list(Verdict) == [
        "other_tenant",
        "disabled",
        "other_event",
        "unknown_status",
        "unchanged",
        "other_status",
        "other_account",
        "wanted",
    ]


def test_the_reasons_of_dead_letters_are_those_that_operators_know() -> None:
    assert set(DeadLetterReason) == {
        "null_value",
        "unknown_framing",
        "unknown_schema",
        "undecodable",
        "invalid_field",
        "render_failed",
        "internal",
    }
