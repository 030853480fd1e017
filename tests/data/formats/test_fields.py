from __future__ import annotations

import pytest

from setpiece.data.formats.fields import flat, truth, without_fraction


@pytest.mark.parametrize(
    ("said", "values"),
    [
        (False, (0, 0.0, False, None, "", "0", "0.0", "false", "FALSE", " False\n")),
        (True, (1, 1.0, True, "1", "1.0", "true", "True", "TRUE ")),
        (None, (2, -1, 0.5, "yes", "unspecified", [], {})),
    ],
)
def test_a_truth_value_is_known_in_any_spelling_and_no_other_is_guessed(said, values):
    assert {truth(value) for value in values} == {said}


@pytest.mark.parametrize(
    ("value", "id_"), [(7.0, 7), (7, 7), (7.5, 7.5), ("7.0", "7.0"), (None, None), (True, True), (float("inf"),) * 2]
)
def test_whole_numbers_lose_their_fraction_and_others_nothing(value, id_):
    assert without_fraction(value) == id_
    assert type(without_fraction(value)) is type(id_)


@pytest.mark.parametrize("outline", [None, {"counts": "x"}, [], [[]], [[1, 2, 3, 4, 5, 6]], [[[1, 2, 3]]], ["ab"]])
def test_what_is_not_of_pairs_stays_as_it_is(outline):
    assert flat(outline) == outline
