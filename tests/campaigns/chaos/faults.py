"""What is done to the parts of a campaign, each fault with how often it is drawn."""

import random
from enum import StrEnum


class Fault(StrEnum):
    """A kind of harm."""

    KILL_MID_BATCH = "kill_mid_batch"  #: SIGKILL while a transaction is being written
    KILL_MID_COMMIT = "kill_mid_commit"  #: SIGKILL while it is being committed
    ZOMBIE = "zombie"  #: SIGSTOP past the session timeout; it wakes up and others have its work
    REBALANCE_STORM = "rebalance_storm"  #: members come and go, a worker leaves in order
    BROKER_KILL = "broker_kill"  #: SIGKILL, and started again
    BROKER_PAUSE = "broker_pause"  #: SIGSTOP: connections stay and nothing is answered
    DATABASE_AWAY = "database_away"


#: Of a hundred faults. The kills are most, since a kill between two transactions shows nothing.
SHARES = {
    Fault.KILL_MID_BATCH: 36,
    Fault.KILL_MID_COMMIT: 28,
    Fault.ZOMBIE: 8,
    Fault.REBALANCE_STORM: 8,
    Fault.BROKER_KILL: 5,
    Fault.BROKER_PAUSE: 7,
    Fault.DATABASE_AWAY: 8,
}


def deck(faults: int, chance: random.Random) -> list[Fault]:
    """Return so many faults by their shares, each kind at least once, in a random order."""
    counts = {kind: max(1, faults * share // 100) for kind, share in SHARES.items()}
    counts[Fault.KILL_MID_BATCH] += max(0, faults - sum(counts.values()))
    drawn = [kind for kind, count in counts.items() for _ in range(count)]
    chance.shuffle(drawn)
    return drawn


def kills(faults: int, chance: random.Random) -> list[Fault]:
    """Return so many kills of both kinds: what the control needs."""
    return [chance.choice([Fault.KILL_MID_BATCH, Fault.KILL_MID_COMMIT]) for _ in range(faults)]
