import json

import pytest

from tests.benchmarks.figures import Figure, at_least, at_most, report, told


def test_a_figure_is_a_line_of_json_with_its_bar(capsys: pytest.CaptureFixture[str]) -> None:
    report([at_most("bytes_per_rule", 371.04, 400)])

    assert json.loads(capsys.readouterr().out) == {
        "name": "bytes_per_rule",
        "value": 371.0,
        "bar": "<= 400",
        "ok": True,
    }


def test_all_figures_held_end_well() -> None:
    assert report([at_most("a", 1, 1), at_least("b", 1, 1), told("c", 7)]) == 0


@pytest.mark.parametrize(
    "missed",
    [
        pytest.param(at_most("a", 1.01, 1), id="above its bar"),
        pytest.param(at_least("b", 0.99, 1), id="below its bar"),
    ],
)
def test_one_figure_missed_ends_with_1(missed: Figure, capsys: pytest.CaptureFixture[str]) -> None:
    assert report([told("c", 7), missed]) == 1
    assert '"ok": false' in capsys.readouterr().out
