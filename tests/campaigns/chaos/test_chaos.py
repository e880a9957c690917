"""`make chaos-short` within the suite: every harm once and more, and each record accounted for."""

from pathlib import Path

import pytest

from tests.campaigns.chaos.campaign import Campaign, worker
from tests.campaigns.chaos.series import SHORT, run, tell
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL

pytestmark = [pytest.mark.kafka, pytest.mark.postgresql, pytest.mark.timeout(1200)]


def test_under_every_harm_each_record_is_accounted_for_and_the_control_is_caught(
    kafka: Kafka, postgresql: PostgreSQL, tmp_path: Path, spawn: Spawn
) -> None:
    campaign = Campaign(
        kafka=kafka,
        postgresql=postgresql,
        folder=tmp_path,
        spawn=spawn,
        worker=worker,
        tell=tell,
    )

    figures = run(campaign, SHORT)

    assert [figure.line for figure in figures if not figure.ok] == []
