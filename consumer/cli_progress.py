"""How far a long command is, on a terminal only: nothing of it ends up in a file or a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Below this many bytes a bar would be gone before anybody has read it.
WORTH_A_BAR = 1_000_000


@contextmanager
def bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give what is to be told of each step; `total` is the sum of all steps, None if unknown.

    The bar is drawn on stderr if that is a terminal, and gone when the block ends.
    """
    if not sys.stderr.isatty() or (total is not None and total < WORTH_A_BAR):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(*columns, Elapsed(), Remaining(), console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda step: progress.advance(task, step)
