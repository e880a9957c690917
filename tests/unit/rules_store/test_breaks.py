from rules_store.breaks import STRETCH, with_breaks


def test_a_break_comes_after_each_whole_stretch_and_no_item_is_lost() -> None:
    breaks: list[str] = []

    taken = list(with_breaks(range(STRETCH * 2 + 1), lambda: breaks.append("a break")))

    assert taken == list(range(STRETCH * 2 + 1))
    assert breaks == ["a break"] * 2
