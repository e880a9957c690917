from mailer.policy import Policy, Verdict
from mailer.results import Fate

REFUSALS = [Fate.DEAD_ADDRESS, Fate.REFUSED, Fate.POLICY_REFUSED, Fate.CONTENT_REFUSED]


def told(
    policy: Policy, fates: list[Fate], domains: int, now: float = 0.0
) -> tuple[Policy, Verdict]:
    verdict = Verdict.NOTHING
    for number, fate in enumerate(fates):
        policy, verdict = policy.after(fate, f"d{number % domains}.example", now)
    return policy, verdict


def refused(count: int) -> list[Fate]:
    return [REFUSALS[number % len(REFUSALS)] for number in range(count)]


def test_twenty_refusals_in_a_row_over_five_domains_hold_them_and_pause() -> None:
    policy, verdict = told(Policy(), refused(20), domains=5)

    assert (policy.is_open, verdict) == (True, Verdict.HOLD_THEM)
    assert not policy.admits(299)


def test_nineteen_do_not() -> None:
    policy, verdict = told(Policy(), refused(19), domains=5)

    assert (policy.is_open, verdict) == (False, Verdict.NOTHING)


def test_many_to_four_domains_do_not() -> None:
    assert not told(Policy(), refused(500), domains=4)[0].is_open


def test_a_success_shows_that_those_before_it_were_refused_rightly() -> None:
    policy, _ = told(Policy(), refused(19), domains=5)

    policy, verdict = policy.after(Fate.SENT, "d.example", 0)

    assert verdict is Verdict.THEY_WERE_RIGHT
    assert not told(policy, refused(19), domains=5)[0].is_open


def test_a_success_after_none_says_nothing() -> None:
    assert Policy().after(Fate.SENT, "d.example", 0)[1] is Verdict.NOTHING


def test_what_is_deferred_is_neither() -> None:
    policy, _ = told(Policy(), refused(19), domains=5)

    policy, verdict = policy.after(Fate.DEFERRED, "d.example", 0)

    assert verdict is Verdict.NOTHING
    assert told(policy, refused(1), domains=1)[0].is_open


def test_while_it_is_open_further_refusals_are_held_too() -> None:
    policy, _ = told(Policy(), refused(20), domains=5)

    assert policy.after(Fate.REFUSED, "e.example", 1)[1] is Verdict.HOLD_THEM


def test_after_its_pause_one_may_try_and_a_refusal_doubles_the_pause() -> None:
    policy, _ = told(Policy(), refused(20), domains=5)

    assert policy.admits(300)
    policy, _ = policy.after(Fate.REFUSED, "e.example", 300)
    assert not policy.admits(899)
    assert policy.admits(900)


def test_a_success_ends_the_pause() -> None:
    policy, _ = told(Policy(), refused(20), domains=5)

    policy, _ = policy.after(Fate.SENT, "e.example", 300)

    assert not policy.is_open
