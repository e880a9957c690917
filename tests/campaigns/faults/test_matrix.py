"""A part of the matrix in every run of the suite; `make fault-matrix` runs all of it."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from mailer.results import State
from tests.campaigns.faults.rows import Fault, Row, extra_rows, matrix
from tests.campaigns.faults.running import run_row

FAST = 1000.0
EVERY = 9  #: the rows that run here; over the phases, every fault is among them


def some_rows() -> Iterator[Row]:
    rows = list(matrix())
    yield from chain(rows[::EVERY], extra_rows())


@pytest.mark.parametrize("row", list(some_rows()), ids=lambda row: row.name)
def test_whatever_goes_wrong_no_mail_is_lost_and_each_copy_is_accounted_for(
    row: Row, tmp_path: Path
) -> None:
    ending = run_row(row, tmp_path, FAST)

    assert ending.wrong == []


def test_a_mail_whose_answers_got_lost_arrived_as_often_as_it_was_in_doubt(tmp_path: Path) -> None:
    (row,) = [row for row in matrix() if row.name == "content/drop"]

    ending = run_row(row, tmp_path, FAST)

    assert sum(ending.copies.values()) == len(ending.states) + sum(ending.doubts.values()) == 5


def test_a_relay_gone_mad_costs_no_mail_and_suppresses_nobody(tmp_path: Path) -> None:
    (row,) = [row for row in extra_rows() if row.forever]

    ending = run_row(row, tmp_path, FAST)

    assert set(ending.states.values()) <= {State.HELD, State.WAITING}
    assert ending.suppressed == 0


def test_every_fault_is_in_the_part_that_runs_here() -> None:
    names = {row.name.rpartition("/")[2] for row in some_rows()}

    assert names >= {str(fault) for fault in Fault}
