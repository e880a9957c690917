import pytest

from rules_store.recipients import recipients_of, resolve_users
from schemas.addresses import EmailAddress
from schemas.rules import Recipient, Rule, User
from schemas.vocabulary import Audience, Language, LeftOut, UserId
from tests.builders import a_rule, a_tenant, a_user, an_external_recipient

U_BEN = UserId("u-ben")


def resolved(
    rule: Rule, *users: User, language: Language = Language.DE
) -> tuple[list[tuple[str, str, str]], tuple[tuple[str, LeftOut], ...]]:
    """Return recipients as (address, audience, language), and who is left out."""
    by_id = {user.user_id: user for user in users}
    found, left_out = recipients_of(rule, a_tenant(language=language), resolve_users(by_id))
    return [(one.address.text, one.audience, one.language) for one in found], left_out


def test_internal_recipients_come_first_each_group_in_its_order() -> None:
    rule = a_rule(
        internal_recipients=(U_BEN, UserId("u-anna")),
        external_recipients=(
            an_external_recipient(address="z@x.example"),
            an_external_recipient(address="a@x.example"),
        ),
    )

    found, left_out = resolved(rule, a_user(), a_user(user_id=U_BEN, email="ben@muster.example"))

    assert [address for address, _, _ in found] == [
        "ben@muster.example",
        "anna@muster.example",
        "z@x.example",
        "a@x.example",
    ]
    assert left_out == ()


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        pytest.param(a_user(active=False), LeftOut.INACTIVE, id="inactive"),
        pytest.param(a_user(user_id=U_BEN), LeftOut.DELETED, id="deleted"),
        pytest.param(a_user(email=None), LeftOut.NO_ADDRESS, id="no address"),
        pytest.param(a_user(email=" "), LeftOut.NO_ADDRESS, id="empty address"),
        pytest.param(a_user(email="anna"), LeftOut.BAD_ADDRESS, id="bad address"),
    ],
)
def test_a_user_is_left_out_with_the_reason(user: User, reason: LeftOut) -> None:
    assert resolved(a_rule(), user) == ([], (("u-anna", reason),))


def test_a_bad_external_address_is_left_out_by_its_place_and_the_others_go_on() -> None:
    rule = a_rule(
        internal_recipients=(),
        external_recipients=(
            an_external_recipient(),
            an_external_recipient(address="nobody"),
        ),
    )

    found, left_out = resolved(rule)

    assert [address for address, _, _ in found] == ["steuer@kanzlei.example"]
    assert left_out == (("external 2", LeftOut.BAD_ADDRESS),)


def test_internal_wins_over_external_of_the_same_address() -> None:
    rule = a_rule(external_recipients=(an_external_recipient(address="anna@MUSTER.example"),))

    found, _ = resolved(rule, a_user())

    assert found == [("anna@muster.example", Audience.INTERNAL, Language.DE)]


def test_a_user_who_is_left_out_does_not_hide_the_same_address_as_external() -> None:
    rule = a_rule(external_recipients=(an_external_recipient(address="anna@muster.example"),))

    found, left_out = resolved(rule, a_user(active=False))

    assert found == [("anna@muster.example", Audience.EXTERNAL, Language.DE)]
    assert left_out == (("u-anna", LeftOut.INACTIVE),)


def test_the_local_part_makes_another_address() -> None:
    rule = a_rule(external_recipients=(an_external_recipient(address="Anna@muster.example"),))

    found, _ = resolved(rule, a_user())

    assert len(found) == 2


def test_a_list_of_the_old_form_is_split_and_checked_one_by_one() -> None:
    listed = an_external_recipient(address="a@x.example; bad ;; b@x.example; a@X.example")
    rule = a_rule(internal_recipients=(), external_recipients=(listed,))

    found, left_out = resolved(rule)

    assert [address for address, _, _ in found] == ["a@x.example", "b@x.example"]
    assert left_out == (("external 1", LeftOut.BAD_ADDRESS),)


def test_a_user_reads_the_own_language_and_german_without_one() -> None:
    rule = a_rule(internal_recipients=(UserId("u-anna"), U_BEN))
    ben = a_user(user_id=U_BEN, email="ben@x.example", language=Language.EN)

    found, _ = resolved(rule, a_user(language=None), ben, language=Language.EN)

    assert [language for _, _, language in found] == [Language.DE, Language.EN]


def test_an_external_recipient_reads_its_language_or_else_the_tenants() -> None:
    rule = a_rule(
        internal_recipients=(),
        external_recipients=(
            an_external_recipient(address="a@x.example", language=Language.DE),
            an_external_recipient(address="b@x.example"),
        ),
    )

    found, _ = resolved(rule, language=Language.EN)

    assert [language for _, _, language in found] == [Language.DE, Language.EN]


def test_a_recipient_never_shows_the_address() -> None:
    recipient = Recipient(EmailAddress("anna@muster.example"), Audience.INTERNAL, Language.DE)

    assert "anna@" not in repr(recipient)
