"""What can happen to a record's bytes, a function each: sound bytes in, spoilt bytes out.

Half of all places are drawn from the front, where framing and routing fields lie.
"""

from collections.abc import Callable
from random import Random

FRONT = 120  # bytes: framing, event id, tenant, status, accounts
RARELY = 0.003  # how often a record becomes huge: each costs some hundred others
MOST = 1_048_576  # bytes of a record, the input topics' limit

Mutation = Callable[[Random, bytes, bytes], bytes]  # chance, value, another record's value


def place(chance: Random, value: bytes) -> int:
    """Return a place in the value or at its end."""
    size = len(value)
    return chance.randrange(min(FRONT, size) + 1 if chance.random() < 0.5 else size + 1)


def nothing(_: Random, value: bytes, __: bytes) -> bytes:
    """Leave it: its fields are hostile enough."""
    return value


def flip_bits(chance: Random, value: bytes, __: bytes) -> bytes:
    """Flip one to eight bits."""
    spoilt = bytearray(value)
    for _ in range(chance.randint(1, 8)):
        at = place(chance, value)
        if at < len(spoilt):
            spoilt[at] ^= 1 << chance.randrange(8)
    return bytes(spoilt)


def cut(chance: Random, value: bytes, _: bytes) -> bytes:
    """Cut it off."""
    return value[: place(chance, value)]


def splice(chance: Random, value: bytes, other: bytes) -> bytes:
    """Go on with the end of another record."""
    return value[: place(chance, value)] + other[place(chance, other) :]


def leave_out(chance: Random, value: bytes, _: bytes) -> bytes:
    """Leave a piece out."""
    at = place(chance, value)
    return value[:at] + value[at + chance.randint(1, 20) :]


def repeat(chance: Random, value: bytes, other: bytes) -> bytes:
    """Repeat a piece, sometimes very often."""
    if chance.random() < RARELY:
        return repeat_very_often(chance, value, other)
    return _repeated(chance, value, chance.choice((2, 3, 100)))


def repeat_very_often(chance: Random, value: bytes, _: bytes) -> bytes:
    """Repeat a piece until the record is huge."""
    return _repeated(chance, value, 10_000)


def _repeated(chance: Random, value: bytes, times: int) -> bytes:
    at, size = place(chance, value), chance.randint(1, 20)
    return (value[:at] + value[at : at + size] * times + value[at:])[:MOST]


def put_in(chance: Random, value: bytes, _: bytes) -> bytes:
    """Put noise in."""
    at = place(chance, value)
    return value[:at] + chance.randbytes(chance.randint(1, 64)) + value[at:]


def huge_length(chance: Random, value: bytes, _: bytes) -> bytes:
    """Put a length or count there that cannot be: huge, negative, or a number without an end."""
    at = place(chance, value)
    number = chance.choice(
        (
            _zigzag(2**31 - 1),
            _zigzag(2**62),
            _zigzag(2**63 - 1),
            _zigzag(-1),
            _zigzag(-(2**63)),
            _zigzag(-(2**31)),
            b"\xff" * 9 + b"\x01",
            b"\xff" * 200,
            b"\x80" * 50 + b"\x00",
        )
    )
    return value[:at] + number + value[at + chance.randrange(3) :]


def nest_deeply(chance: Random, value: bytes, other: bytes) -> bytes:
    """Go down level by level: blocks in blocks, or the same branch again and again."""
    if chance.random() < RARELY:
        return nest_very_deeply(chance, value, other)
    return _nested(chance, value, chance.choice((10, 100, 1_000)))


def nest_very_deeply(chance: Random, value: bytes, _: bytes) -> bytes:
    """Go down until the record is huge."""
    return _nested(chance, value, 300_000)


def _nested(chance: Random, value: bytes, levels: int) -> bytes:
    level = chance.choice((b"\x02", b"\x02\x02", b"\x00\x00\x02", b"\x01\x02", b"\x02\x00"))
    return (value[: place(chance, value)] + level * levels)[:MOST]


def bad_text(chance: Random, value: bytes, _: bytes) -> bytes:
    """Put bytes over others that are no UTF-8."""
    bad = chance.choice((b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"))
    at = place(chance, value)
    return value[:at] + bad + value[at + len(bad) :]


def noise(chance: Random, value: bytes, _: bytes) -> bytes:
    """Keep the framing at most, and make up all the rest."""
    kept = value[: chance.choice((0, 1, 2, 5, 10))]
    return kept + chance.randbytes(chance.choice((0, 1, 9, 100, 1_000, 20_000)))


MUTATIONS: tuple[Mutation, ...] = (
    nothing,
    flip_bits,
    cut,
    splice,
    leave_out,
    repeat,
    put_in,
    huge_length,
    nest_deeply,
    bad_text,
    noise,
)

HUGE: tuple[Mutation, ...] = (repeat_very_often, nest_very_deeply)


def _zigzag(number: int) -> bytes:
    """Encode a long as Avro does (Avro specification, binary encoding)."""
    left, encoded = (number << 1) ^ (number >> 63), bytearray()
    left &= 2**64 - 1
    while left > 0x7F:
        encoded.append((left & 0x7F) | 0x80)
        left >>= 7
    encoded.append(left)
    return bytes(encoded)
