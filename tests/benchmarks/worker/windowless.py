"""The worker without its window of repeats: it remembers nothing and writes nothing to remember.

Run with the worker's settings: `python -m tests.benchmarks.worker.windowless`. What stays is the
key of each wanted event, a tenth of a microsecond an event.
"""

import os
import sys
import threading
from functools import partial

from consumer import wiring
from consumer.logs import set_up
from consumer.process import run_until_stopped
from consumer.settings import Settings, load_settings
from tests.benchmarks.worker.passing import stream_of
from tests.campaigns.bare_worker import run, work_of
from tests.campaigns.chaos.control import WithoutRepeats


def evaluate(settings: Settings, stop: threading.Event) -> None:
    """Turn events into mails until asked to stop."""
    work = WithoutRepeats(work_of(settings, stop), settings.repeats_topic)
    run(stream_of(settings, wiring.COLLECTED), work, settings.batch_size, stop)


if __name__ == "__main__":
    set_up("WARNING", stream=sys.stdout)
    run_until_stopped(partial(evaluate, load_settings(os.environ)))
