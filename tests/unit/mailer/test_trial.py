"""Templates tried on every shape of event, and an operator's own in their place."""

from pathlib import Path

import pytest

from mailer.sources import Sources, packaged_sources, sources_with_own
from mailer.trial import shapes, trial_faults
from schemas.errors import InvalidSettings
from schemas.vocabulary import EventType
from tests.builders import a_decision, a_recipient, a_renderer, a_status_update, a_wanted_rule

PACKAGED = packaged_sources().packaged


def faults_of(**own: str) -> list[str]:
    files = {name.replace("_", ".", 1): text for name, text in own.items()}
    return trial_faults(a_renderer(sources=Sources(PACKAGED, files)))


def test_the_packages_templates_hold_for_every_shape() -> None:
    assert trial_faults(a_renderer()) == []


def test_shapes_leave_out_each_optional_fact() -> None:
    names = [name for name, _ in shapes()]

    assert "payment-status-updated.FIN_REJECTED without order_id" in names
    assert {event.routing.event_type for _, event in shapes()} == set(EventType)
    assert len(names) == len(set(names)) > 150


def test_a_template_that_fails_for_one_shape_only_is_found() -> None:
    wrong = "{% if payments and not information %}{{ payments[99][1] }}{% endif %}{{ heading }}"

    (fault,) = faults_of(base_txt=wrong)

    assert fault.startswith("mail template payment-status-updated.txt: UndefinedError (payment-")


def test_a_template_that_does_not_escape_is_found() -> None:
    assert "foreign text is not escaped" in faults_of(base_html="{{ tenant | safe }}")[0]


def test_a_mail_that_clients_clip_is_found() -> None:
    assert "more than 102 kB" in faults_of(base_html="{{ heading }}" + "x" * 102_000)[0]


def test_an_operators_files_take_the_place_of_the_packages(tmp_path: Path) -> None:
    (tmp_path / "wording.de.toml").write_text('[statuses.FIN_REJECTED]\nlabel = "Abgelehnt!"')
    (tmp_path / "base.txt").write_text("{% from 'own.txt' import mark %}{{ mark }}{{ heading }}\n")
    (tmp_path / "own.txt").write_text("{% set mark = '* ' %}")
    (tmp_path / ".hidden").write_text("of an editor")

    renderer = a_renderer(sources=sources_with_own(tmp_path))

    mail = renderer.render(a_status_update(), a_wanted_rule(), a_recipient(), a_decision())
    assert mail.text == "* Abgelehnt!\n"
    assert mail.subject.startswith("Abgelehnt!")
    assert not mail.fallback


def test_every_file_that_can_mean_nothing_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "wording.fr.toml").write_text("")
    (tmp_path / "logo.png").write_bytes(b"\x89")
    (tmp_path / "base.txt").write_bytes(b"\xff")

    with pytest.raises(InvalidSettings) as caught:
        sources_with_own(tmp_path)

    kinds = "is neither .html, .txt nor one of wording.de.toml, wording.en.toml"
    assert caught.value.faults == (
        "mail template base.txt: cannot be read (UnicodeDecodeError)",
        f"mail template logo.png: {kinds}",
        f"mail template wording.fr.toml: {kinds}",
    )
