"""What SpamAssassin makes of our mails, with the rules of its package and no network.

Found by it: a preview text in the colour of its ground and of one pixel costs 1.7 points.
"""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailer.mime import mime_bytes
from schemas.example_events import examples_by_name
from schemas.vocabulary import DetailLevel, Language
from tests.builders import a_decision, a_recipient, a_renderer, a_rule, a_tenant, a_wanted_rule

RENDERER = a_renderer()
HIGHEST = 0.5


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("payment-status-updated.FIN_REJECTED", DetailLevel.MINIMAL),
        ("payment-status-updated.FIN_PARTIALLY_ACCEPTED", DetailLevel.FULL),
        ("payment-file-rejected.unknown-account", DetailLevel.STANDARD),
    ],
)
def test_our_mails_are_no_spam(
    spamassassin: Path, name: str, level: DetailLevel, language: Language
) -> None:
    event = examples_by_name()[name]
    rule = a_rule(tenant_id=event.tenant_id, detail_internal=level)
    wanted = a_wanted_rule(tenant=a_tenant(tenant_id=event.tenant_id), rule=rule)
    now = a_decision(at=datetime.now(UTC).replace(microsecond=0))

    mail = RENDERER.render(event, wanted, a_recipient(language=language), now)

    assert score(spamassassin, mime_bytes(mail)) <= HIGHEST


def test_spam_is_recognised(spamassassin: Path) -> None:
    gtube = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

    assert score(spamassassin, b"Subject: test\r\n\r\n" + gtube + b"\r\n") > 100


def score(spamassassin: Path, source: bytes) -> float:
    """Return the points that a mail gets."""
    told = subprocess.run(
        [spamassassin, "-L", "-t"], input=source, capture_output=True, check=True, timeout=120
    )
    found = re.search(rb"X-Spam-Status: \w+, score=(-?[\d.]+)", told.stdout)
    assert found is not None
    return float(found[1])
