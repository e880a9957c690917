"""The demo as it runs: what is published, decided and delivered, told line by line."""

import shutil
import sys
import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import monotonic

from consumer.demo.events import Scene, encore, scenes
from consumer.demo.score import Score
from consumer.demo.screen import Screen
from consumer.demo.stage import Stage
from schemas.vocabulary import MailId

LOOK = 0.02  # seconds between two looks into the inbox
QUIET = timedelta(seconds=0.7)  # how long nothing more may come, once everything is through


class Play:
    """Plays the scenes on a stage, and remembers what was published and told."""

    def __init__(self, stage: Stage, screen: Screen, stop: threading.Event) -> None:
        self._stage = stage
        self._screen = screen
        self._stop = stop
        self._began = monotonic()
        self._played: list[Scene] = []
        self._planned: set[MailId] = set()
        self._told_mails = 0
        self._told_refusals = 0

    def begin(self, wanted_port: int) -> None:
        """Say what runs and where."""
        stage, screen = self._stage, self._screen
        screen.heading("push-services demo: payment events in, mails out")
        screen.fact("Inbox", f"{stage.inbox.url}{_instead(wanted_port, stage.inbox.http_port)}")
        screen.fact("Rules", f"{_counted_rules(stage)} in SQLite: {stage.folder}")
        screen.fact("Daemons", "the real worker and delivery daemon, as threads of this process")
        screen.fact("Broker", "librdkafka's mock, for the demo only: it keeps none of our promises")
        screen.line()

    def stream(self, pause: timedelta) -> None:
        """Publish every scene; tell what is decided, and meanwhile what arrives."""
        for scene in scenes(datetime.now(UTC)):
            if self._stop.is_set():
                return
            self._publish(scene)
            self._watch(pause)

    def await_mails(self, patience: timedelta) -> None:
        """Wait until every record is settled and every mail delivered, and nothing more comes."""
        end = monotonic() + patience.total_seconds()
        while not self._stop.is_set() and monotonic() < end and not self._is_through():
            self._watch(timedelta(seconds=0.1))
        self._watch(QUIET)

    def _is_through(self) -> bool:
        return (
            self._score().is_complete
            and self._stage.decided() >= len(self._played)
            and self._stage.unfinished() == 0
        )

    def conclude(self) -> int:
        """Print the count of expected and arrived mails; return 0 if they are the same mails."""
        score = self._score()
        self._screen.line()
        self._screen.line(self._sum())
        for fault in score.faults():
            self._screen.line(fault, "red")
        expected, arrived = score.expected.total(), score.arrived.total()
        style = "green" if score.is_right else "red"
        self._screen.line(f"{expected} mails expected, {arrived} arrived", style)
        return 0 if score.is_right else 1

    def sum_up(self) -> None:
        """Print what became of the stream and what to try next."""
        if self._stop.is_set():
            return
        screen, command = self._screen, _command()
        screen.heading(self._sum())
        screen.line("Look at the mails as their readers see them:", "dim")
        screen.line(f"  {self._stage.inbox.url}", "cyan")
        screen.line("Try next, in another terminal while this one runs:", "dim")
        for line in (
            f"export PUSH_DATABASE_URL={self._stage.environ['PUSH_DATABASE_URL']}",
            f"{command} rules list",
            f"{command} rules show m-10482 r-not-executed",
            f"{command} rules export > rules.yaml  # in r-confirmed, set enabled: true; then",
            f"{command} rules apply rules.yaml",
            f"{command} config show",
            "export PUSH_KAFKA_BOOTSTRAP_SERVERS="
            + self._stage.environ["PUSH_KAFKA_BOOTSTRAP_SERVERS"],
            f"{command} dead-letters list",
            f"less {self._stage.folder / 'push-services.log'}",
        ):
            screen.line(f"  {line}", "cyan")
        screen.line(
            "One more event comes every now and then: a changed rule is felt at once. "
            "Ctrl-C ends the demo and leaves nothing behind.",
            "dim",
        )
        screen.line()

    def go_on(self, pause: timedelta) -> None:
        """Publish one more event again and again until asked to stop."""
        for number in count(1):
            self._watch(pause)
            if self._stop.is_set():
                return
            self._publish(encore(number, datetime.now(UTC)))

    def _publish(self, scene: Scene) -> None:
        told = self._stage.publish(scene, self._planned)
        self._played.append(scene)
        self._planned.update(mail.mail_id for mail, _ in told.share.mails)
        self._screen.decided(self._elapsed(), scene.name, scene.tenant_id, told)

    def _watch(self, pause: timedelta) -> None:
        """Tell what arrives until the pause is over or the demo is asked to stop."""
        end = monotonic() + pause.total_seconds()
        while True:
            self._stage.daemons.check()
            self._tell_arrivals()
            left = end - monotonic()
            if left <= 0 or self._stop.wait(min(LOOK, left)):
                return

    def _tell_arrivals(self) -> None:
        for mail in self._stage.inbox.mails()[self._told_mails :]:
            self._screen.arrived(self._elapsed(), mail.recipient, mail.content.header("Subject"))
            self._told_mails += 1
        for refusal in self._stage.inbox.refusals()[self._told_refusals :]:
            self._screen.refused(self._elapsed(), refusal.recipient, refusal.reply)
            self._told_refusals += 1

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=monotonic() - self._began)

    def _score(self) -> Score:
        inbox = self._stage.inbox
        return Score.of(self._played, inbox.mails(), inbox.refusals())

    def _sum(self) -> str:
        score = self._score()
        repeats = len(self._played) - len({(s.event_id, s.value) for s in self._played})
        return (
            f"{_counted(len(self._played), 'event')}: "
            f"{_counted(score.arrived.total(), 'mail')} arrived, "
            f"{score.refused.total()} refused by the mail server, "
            f"{_counted(self._stage.dead_letters(), 'dead letter')}, "
            f"{repeats} published twice and mailed once"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _instead(wanted: int, given: int) -> str:
    return "" if wanted in (0, given) else f"  (port {wanted} is taken)"


def _counted_rules(stage: Stage) -> str:
    tenants = stage.rules().tenants
    rules = sum(len(tenant_rules.rules) for tenant_rules in tenants)
    return f"{rules} rules of {len(tenants)} tenants"


def _command() -> str:
    """Return how to call this program: by its name where the shell finds it, else by its path."""
    if shutil.which("push-services"):
        return "push-services"
    path = Path(sys.executable).with_name("push-services")
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
