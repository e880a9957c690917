from rules_store.buckets import Buckets


def many() -> Buckets[str, int]:
    return Buckets((f"m-{number}", number) for number in range(5_000))


def test_every_key_is_found_and_no_other() -> None:
    mapping = many()

    assert (len(mapping), mapping.find("m-4999"), mapping.find("m-5000")) == (5_000, 4_999, None)
    assert dict(mapping) == {f"m-{number}": number for number in range(5_000)}


def test_the_mapping_before_a_change_stays_as_it_was() -> None:
    before = many()

    after = before.with_changes({"m-1": 10, "m-2": None, "m-new": 7, "m-never": None})

    assert (after["m-1"], "m-2" in after, after["m-new"], len(after)) == (10, False, 7, 5_000)
    assert before == many()


def test_a_change_shares_all_but_its_own_buckets() -> None:
    # Would catch: copying a hundred thousand tenants for one that changed.
    before = many()

    after = before.with_changes({"m-1": 10})

    shared = sum(one is other for one, other in zip(before._buckets, after._buckets, strict=True))
    assert shared == len(before._buckets) - 1
