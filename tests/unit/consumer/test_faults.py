import pytest

from consumer.faults import Fault, fault
from schemas.errors import InvalidEvent, RegistryUnavailable, RenderFailed
from schemas.fields import is_uuid
from schemas.vocabulary import DeadLetterReason


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            InvalidEvent(DeadLetterReason.NULL_VALUE, "no value"),
            Fault(DeadLetterReason.NULL_VALUE, "no value"),
            id="no event",
        ),
        pytest.param(
            RenderFailed("too large"),
            Fault(DeadLetterReason.RENDER_FAILED, "too large"),
            id="no mail",
        ),
    ],
)
def test_what_is_foreseen_says_its_own_reason(error: Exception, expected: Fault) -> None:
    assert fault(error) == expected


def test_what_nobody_foresaw_names_its_place_and_never_its_text() -> None:
    with pytest.raises(TypeError) as raised:
        is_uuid(4711)  # type: ignore[arg-type]  # what nobody foresaw

    found = fault(raised.value)

    assert found.reason is DeadLetterReason.INTERNAL
    assert found.detail.startswith("TypeError at schemas/fields.py:")
    assert "4711" not in found.detail


@pytest.mark.parametrize("error", [RegistryUnavailable(), MemoryError()], ids=["wait", "no memory"])
def test_what_is_no_fault_of_the_record_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        fault(error)
