"""What can go wrong, sorted by what the loop does about it.

PushError
├── Temporary  wait: the same records come again
│   ├── StoreUnavailable
│   ├── RulesTooOld
│   ├── LedgerUnavailable
│   ├── KafkaUnavailable
│   └── RegistryUnavailable
├── Permanent  no retry helps: a dead letter says why
│   ├── InvalidValue
│   ├── InvalidEvent
│   └── RenderFailed
└── Fatal  stop: a human must look
    ├── InvalidSettings
    ├── InvalidInput
    ├── SchemaOutdated
    ├── AccessDenied
    ├── KafkaLost
    ├── OffsetsLost
    └── TooManyFaults
"""

from collections.abc import Sequence
from typing import ClassVar

from schemas.vocabulary import DeadLetterReason


class PushError(Exception):
    """Something went wrong."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or type(self).__doc__)


class Temporary(PushError):
    """An answer is missing for now; waiting loses nothing."""


class StoreUnavailable(Temporary):
    """The rules store gave no answer."""


class RulesTooOld(Temporary):
    """The rules were last known to be current too long ago."""


class LedgerUnavailable(Temporary):
    """The delivery ledger gave no answer."""


class KafkaUnavailable(Temporary):
    """Kafka gave no answer, or not the one that was asked for."""


class RegistryUnavailable(Temporary):
    """The schema registry gave no answer."""


class Permanent(PushError):
    """No retry can help."""


class InvalidValue(Permanent):
    """A value that cannot be meant."""


class InvalidEvent(Permanent):
    """A record that is no event of its topic; `reason` is the dead letter's."""

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RenderFailed(Permanent):
    """A mail that could not be made."""


class Fatal(PushError):
    """The process cannot go on; `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 70


class InvalidSettings(Fatal):
    """Settings that cannot be meant; `faults` holds a sentence for each."""

    exit_code = 78

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class InvalidInput(Fatal):
    """A file or argument with faults; `faults` holds one line for each."""

    exit_code = 1

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class SchemaOutdated(Fatal):
    """The database's tables are missing or older than this version needs."""

    exit_code = 78


class AccessDenied(Fatal):
    """Kafka, the database or the mail server refuses our credentials or rights."""


class KafkaLost(Fatal):
    """The Kafka client can do no more in this process."""


class OffsetsLost(Fatal):
    """Nobody knows where to read on in a partition that was read before."""

    exit_code = 78


class TooManyFaults(Fatal):
    """So many records fail that the fault may be ours: none of them becomes a dead letter."""
