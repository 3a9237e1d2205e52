"""Which class of the weights is which class of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segformer_cli.classes import default_palette
from segformer_cli.data.pairs import UNKNOWN, Split, identity_ids
from segformer_cli.errors import DataError, UsageError
from segformer_cli.model.header import ModelConfig
from segformer_cli.workflows.class_match import (
    check_classes,
    match_by_name,
    named_groups,
    numbered_note,
    without_classes,
)


def weights(*names: str) -> ModelConfig:
    return ModelConfig(variant="b0", class_names=names, palette=default_palette(len(names)))


def data(*names: str) -> Split:
    colours = default_palette(len(names))
    return Split("val", "streets", Path("d"), names, colours, 255, identity_ids(len(names), 255), ())


def test_the_same_classes_in_the_same_order_pass() -> None:
    check_classes(weights("road", "sky"), data("road", "sky"))


NUMBERED = ("class_0", "class_1")


def test_classes_that_only_have_numbers_pass_where_there_are_as_many() -> None:
    for ours, theirs in ((NUMBERED, ("a", "b")), (("a", "b"), NUMBERED)):
        check_classes(weights(*ours), data(*theirs))
        with pytest.raises(DataError, match="the weights know 2 classes"):
            check_classes(weights(*ours), data(*theirs, "c"))


def test_another_number_of_classes_is_refused_with_both_numbers_and_the_first_difference() -> None:
    with pytest.raises(DataError) as caught:
        check_classes(weights("road", "sky", "car", "bus"), data("road", "sky"))
    assert caught.value.message == "the weights know 4 classes (road, sky, car ...), streets has 2 (road, sky)"
    assert caught.value.where == "class 2: 'car' in the weights, nothing in the data"
    assert str(caught.value.hint).endswith("--by-name would match 2 classes by their names")


def test_another_order_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        check_classes(weights("sky", "road"), data("road", "sky"))
    assert caught.value.where == "class 0: 'sky' in the weights, 'road' in the data"


def test_names_are_not_proposed_where_none_would_match() -> None:
    with pytest.raises(DataError) as caught:
        check_classes(weights("zebra", "gnu"), data("road", "sky"))
    assert "--by-name" not in str(caught.value.hint)
    assert "segformer train" in str(caught.value.hint)


def test_names_match_whatever_their_case_blanks_and_dashes() -> None:
    match = match_by_name(weights("Sky", "traffic_light", "zebra"), data("road", "traffic light", "sky"))
    assert match.pairs == (("Sky", "sky"), ("traffic_light", "traffic light"))
    assert match.meaning.tolist() == [2, 1, 3]
    assert match.unknown_to_weights == ("road",)
    assert match.unknown_to_data == ("zebra",)
    assert str(match) == (
        "2 classes matched by name; not counted, unknown to the weights: road; "
        "always wrong, unknown to the data: zebra"
    )


def test_an_alias_says_which_class_is_which_and_comes_before_equal_names() -> None:
    match = match_by_name(weights("car", "lorry", "bus"), data("car", "truck"), ["lorry=truck", "Bus = car"])
    assert match.meaning.tolist() == [0, 1, 0]
    assert str(match) == "3 classes matched by name (lorry = truck, bus = car)"
    assert match_by_name(weights("car"), data("car", "truck"), ["car=truck"]).meaning.tolist() == [1]


@pytest.mark.parametrize(
    ("alias", "words", "hint"),
    [
        ("lorry", "--alias 'lorry' names one class", "WEIGHTS_CLASS=DATA_CLASS"),
        ("lory=truck", "the weights have no class 'lory'", "did you mean lorry?"),
        ("lorry=trucks", "the data have no class 'trucks'", "did you mean truck?"),
        ("=truck", "the weights have no class ''", "known: "),
    ],
)
def test_an_alias_of_no_class_is_wrong_usage_with_a_guess(alias: str, words: str, hint: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        match_by_name(weights("car", "lorry"), data("car", "truck"), [alias])
    assert hint in str(caught.value.hint)


def test_two_aliases_of_one_class_are_refused_unless_they_say_the_same() -> None:
    ours, theirs = weights("car", "lorry"), data("car", "truck")
    with pytest.raises(UsageError, match="the weights' class 'lorry' has two aliases"):
        match_by_name(ours, theirs, ["lorry=truck", "lorry=car"])
    assert match_by_name(ours, theirs, ["lorry=truck", "Lorry=Truck"]).meaning.tolist() == [0, 1]


def test_no_class_in_common_is_refused() -> None:
    with pytest.raises(DataError, match=r"no class of the weights \(zebra, gnu\) has the name of one") as caught:
        match_by_name(weights("zebra", "gnu"), data("road", "sky"))
    assert "--alias" in str(caught.value.hint)


def test_classes_that_the_weights_do_not_know_are_ignored_in_the_targets() -> None:
    split = without_classes(data("road", "sky", "car"), ["sky"])
    assert split.ids[:3].tolist() == [0, 255, 2]
    assert split.ids[255] == 255
    assert split.ids[3] == UNKNOWN
    assert split.class_names == ("road", "sky", "car")
    unchanged = data("road", "sky")
    assert np.array_equal(without_classes(unchanged, []).ids, unchanged.ids)


def test_groups_are_named_by_their_classes() -> None:
    names = ["road", "traffic light", "car", "bus"]
    assert named_groups(["vehicle=bus, Car", "signal=Traffic-Light", "all=car,road,car"], names) == {
        "vehicle": (2, 3), "signal": (1,), "all": (0, 2)
    }
    assert named_groups([], names) == {}


@pytest.mark.parametrize("text", ["vehicle", "=car", "vehicle=", "vehicle= , "])
def test_a_text_that_is_no_group_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="is no group") as caught:
        named_groups([text], ["car"])
    assert "vehicle=car,bus" in str(caught.value.hint)


def test_a_group_of_an_unknown_class_is_answered_with_the_closest() -> None:
    with pytest.raises(UsageError, match="there is no class 'cra'") as caught:
        named_groups(["vehicle=bus,cra"], ["road", "car", "bus"])
    assert (caught.value.where, caught.value.hint) == ("--group vehicle=bus,cra", "did you mean car?")


def test_a_group_given_twice_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="the group 'vehicle' is given twice"):
        named_groups(["vehicle=car", "vehicle=bus"], ["car", "bus"])


def test_an_alias_that_takes_a_class_from_its_namesake_is_told() -> None:
    ours, theirs = weights("road", "lorry"), data("road", "car", "truck")
    match = match_by_name(ours, theirs, ["road=car"])
    assert match.note == (
        "--alias road=car takes road away from the data's class of that name, which is not counted now"
    )
    assert match_by_name(ours, theirs, ["road=car", "lorry=road"]).note is None
    assert match_by_name(ours, theirs, ["lorry=truck"]).note is None


def test_classes_matched_by_number_are_told_where_one_side_has_names() -> None:
    named = ("a", "b")
    assert str(numbered_note(weights(*named), data(*NUMBERED))).endswith("classes.txt, a name a line, would say which")
    assert "the weights name none" in str(numbered_note(weights(*NUMBERED), data(*named)))
    assert numbered_note(weights(*NUMBERED), data(*NUMBERED)) is None
    assert numbered_note(weights(*named), data(*named)) is None
    with pytest.raises(DataError) as caught:
        check_classes(weights(*named), data(*NUMBERED, "class_2"))
    assert caught.value.hint == "the data's classes are the ids in its masks, up to 2: name them in classes.txt"
