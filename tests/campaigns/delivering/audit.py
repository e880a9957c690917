"""What must hold of every mail, from what the ledger says and what the sink got. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.real.recording_sink import Taken

_SHOWN = 5  # examples of each finding


class Row(NamedTuple):
    """A mail in the ledger."""

    state: str
    in_doubt_count: int


@dataclass(frozen=True, slots=True)
class Findings:
    """Mail ids, by what is wrong with them; and what is only counted."""

    lost: Sequence[str]  #: published, and neither at the sink nor on its way
    claimed_sent: Sequence[str]  #: sent by the ledger, and not at the sink
    too_often: Sequence[str]  #: more copies than 1 + in_doubt_count
    unlike: Sequence[str]  #: copies with other bytes
    unknown: Sequence[str]  #: at the sink, and never published
    doubts: int  #: the sum of in_doubt_count
    copies: int  #: mails that came once more than once

    def lines(self) -> Iterator[str]:
        """Yield a line for each thing that is wrong, with examples."""
        for name in ("lost", "claimed_sent", "too_often", "unlike", "unknown"):
            found: Sequence[str] = getattr(self, name)
            if found:
                yield f"{name}: {len(found)}, such as {', '.join(found[:_SHOWN])}"


def audit(published: set[str], ledger: Mapping[str, Row], taken: Sequence[Taken]) -> Findings:
    """Compare all three, mail by mail."""
    copies = Counter(one.mail_id for one in taken)
    bytes_of: dict[str, set[str]] = {}
    for one in taken:
        bytes_of.setdefault(one.mail_id, set()).add(one.digest)
    allowed = {mail_id: 1 + row.in_doubt_count for mail_id, row in ledger.items()}
    sent = {mail_id for mail_id, row in ledger.items() if row.state == "sent"}
    return Findings(
        lost=sorted(published - set(copies)),
        claimed_sent=sorted(sent - set(copies)),
        too_often=sorted(m for m, count in copies.items() if count > allowed.get(m, 0)),
        unlike=sorted(m for m, digests in bytes_of.items() if len(digests) > 1),
        unknown=sorted(set(copies) - published),
        doubts=sum(row.in_doubt_count for row in ledger.values()),
        copies=sum(count - 1 for count in copies.values()),
    )
