"""`make bench-worker`: the worker on a real Apache Kafka, in ratios of one run.

The floor is the worker's own loop without decoding, matching and rendering, writing a constant
payload for the same share of events, one transaction after another. Small transactions: at 200
records each the worker's loop around the floor's work against itself at the client's default
back-off, and the worker against the floor. Latency: from produce to a mail that a read_committed
reader gets, against the floor as a bare transactional pass-through. The window of repeats: with and
without. What is compared runs in turns; the first turns warm up the broker, and tell what the
back-off costs while it is slow. The broker's logs lie on a disk, as they do elsewhere.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.figures import Figure, at_least, at_most, machine, report, spread, told
from tests.benchmarks.worker.latency import RATE, latencies
from tests.benchmarks.worker.material import rules
from tests.benchmarks.worker.runs import Bench, Made, Throughput, percentile
from tests.campaigns.house import House
from tests.conftest import spawning
from tests.real.kafka import start_kafka
from tests.real.processes import Process
from tests.real.push_services import clean_environment, installed_command

SMALL = {"PUSH_BATCH_SIZE": "200", "PUSH_LOG_LEVEL": "WARNING"}
DEFAULT_BACK_OFF = {"PUSH_KAFKA_RETRY_BACKOFF_MS": "100", "PUSH_KAFKA_RETRY_BACKOFF_MAX_MS": "1000"}
WHOLE = {"PUSH_LOG_LEVEL": "WARNING"}
#: First turns. A broker's JVM spends 120 us of processor an event on its first small transactions
#: and 20 after a minute of them: brokers live for weeks, so what is compared is the latter.
WARM_UP = 3


class Turns(NamedTuple):
    """Runs of one kind: while the broker was warming up, and after that."""

    fresh: Sequence[Throughput]
    warm: Sequence[Throughput]


def main() -> int:
    """Measure everything and return the exit code."""
    given = options()
    print(machine(), flush=True)
    kafka = start_kafka(on_disk=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="push-bench-") as place,
            spawning(Path(place)) as spawn,
        ):
            bench = Bench(House(kafka, Path(place), spawn, kafka.fresh_name("bench")))
            bench.house.prepare(rules())
            bench.write_backlog(given.events)
            figures = [
                *small_transactions(bench, given),
                *window(bench, given),
                *latency(bench, given),
            ]
            return report(figures)
    finally:
        kafka.end()


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="make bench-worker", description=__doc__)
    parser.add_argument("--events", type=int, default=400_000, help="of the backlog")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of one run at most")
    return parser.parse_args()


def small_transactions(bench: Bench, given: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures at 200 records a transaction."""
    runs = in_turns(
        bench,
        given,
        {
            "worker": (worker, SMALL),
            "worker at the default back-off": (worker, SMALL | DEFAULT_BACK_OFF),
            "floor": (passing, SMALL),
            "floor at the default back-off": (passing, SMALL | DEFAULT_BACK_OFF),
            "loop": (looping, SMALL),
            "loop at the default back-off": (looping, SMALL | DEFAULT_BACK_OFF),
        },
    )
    fresh = {name: middle_speed(each.fresh) for name, each in runs.items()}
    warm = {name: middle_speed(each.warm) for name, each in runs.items()}
    yield told("worker_at_200_events_per_second", warm["worker"])
    # The back-off is paid where the broker has not ended a transaction when the next begins: by a
    # slow one each time, by a warm one alone on its machine every other time. The worker's own
    # transactions hide behind its thinking, so it shows in the loop alone. The floor takes a moment
    # between two transactions to collect, in which the broker may come to its end.
    for condition, middle in (("fresh", fresh), ("warm", warm)):
        for kind in ("loop", "floor", "worker"):
            name = f"{kind}_at_200_over_default_back_off_broker_{condition}"
            ratio = middle[kind] / middle[f"{kind} at the default back-off"]
            is_the_claim = (kind, condition) == ("loop", "fresh")
            yield at_least(name, ratio, 5) if is_the_claim else told(name, ratio)
    yield at_least("worker_at_200_over_floor", warm["worker"] / warm["floor"], 0.5)


def middle_speed(runs: Sequence[Throughput]) -> float:
    """Return events a second."""
    return statistics.median(run.events_per_second for run in runs)


def window(bench: Bench, given: argparse.Namespace) -> Iterator[Figure]:
    """Yield what the window of repeats costs."""
    runs = in_turns(
        bench, given, {"with the window": (worker, WHOLE), "without": (windowless, WHOLE)}
    )
    cost = {name: statistics.median(r.cpu_us for r in each.warm) for name, each in runs.items()}
    yield told("worker_cpu_us_per_event", cost["with the window"])
    yield at_most("worker_window_cost", cost["with the window"] / cost["without"] - 1, 0.03)


def latency(bench: Bench, given: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of latency at a steady rate."""
    kinds: dict[str, Made] = {"worker": worker, "pass-through": passing}
    tails: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(given.repetitions):
        for name, made in kinds.items():
            took = latencies(bench, made, bench.settings_alone(**WHOLE), given.seconds * 2)
            tails[name].append(percentile(took, 0.99))
            print(
                f"{name} at {RATE} events/s: {len(took)} mails, p50 {percentile(took, 0.5):.1f}, "
                f"p99 {tails[name][-1]:.1f} ms",
                flush=True,
            )
    middle = {name: statistics.median(each) for name, each in tails.items()}
    yield told("worker_latency_p99_ms", middle["worker"])
    yield at_most(
        "worker_latency_p99_over_pass_through", middle["worker"] / middle["pass-through"], 2
    )


def in_turns(
    bench: Bench, given: argparse.Namespace, kinds: Mapping[str, tuple[Made, Mapping[str, str]]]
) -> dict[str, Turns]:
    """Run each kind in turn, again and again, and say what came of it."""
    runs: dict[str, list[Throughput]] = {name: [] for name in kinds}
    for _ in range(WARM_UP + given.repetitions):
        for name, (made, settings) in kinds.items():
            runs[name].append(bench.throughput(made, bench.settings(**settings), given.seconds))
    turns = {name: Turns(each[:WARM_UP], each[WARM_UP:]) for name, each in runs.items()}
    for name, (fresh, warm) in turns.items():
        speed = spread([run.events_per_second for run in warm])
        cpu = spread([run.cpu_us for run in warm])
        before = spread([run.events_per_second for run in fresh])
        print(
            f"{name}: {speed} events/s, {cpu} us of processor an event; while the broker warms up "
            f"{before} events/s",
            flush=True,
        )
    return turns


def worker(settings: Mapping[str, str], folder: Path) -> Process:
    """Return `push-services run`."""
    return _process([*installed_command(), "run"], settings, folder)


def passing(settings: Mapping[str, str], folder: Path) -> Process:
    """Return the floor."""
    return _process([sys.executable, "-m", "tests.benchmarks.worker.passing"], settings, folder)


def looping(settings: Mapping[str, str], folder: Path) -> Process:
    """Return the worker's loop around the floor's work."""
    module = "tests.benchmarks.worker.passing"
    return _process([sys.executable, "-m", module, "--beside"], settings, folder)


def windowless(settings: Mapping[str, str], folder: Path) -> Process:
    """Return the worker without its window of repeats."""
    return _process([sys.executable, "-m", "tests.benchmarks.worker.windowless"], settings, folder)


def _process(command: list[str], settings: Mapping[str, str], folder: Path) -> Process:
    folder.mkdir()
    return Process(command=command, folder=folder, environment=clean_environment() | dict(settings))


if __name__ == "__main__":
    sys.exit(main())
