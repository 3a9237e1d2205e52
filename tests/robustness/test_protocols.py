"""Which cells each protocol is made of, and what may be asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.errors import UsageError
from segformer_cli.robustness.protocols import (
    CATEGORY_OF,
    CUSTOM,
    PAPER_CORRUPTIONS,
    PROTOCOLS,
    Cell,
    choose_robust_protocol,
    severities_of,
)

PAPER = PROTOCOLS["cityscapes-c"]
NOISES = {"gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"}


def test_the_papers_protocol_has_72_cells_noises_up_to_3_and_the_others_up_to_5() -> None:
    assert len(PAPER) == len(set(PAPER.cells)) == 72
    assert len(PAPER.corruptions) == 16
    for corruption, severities in severities_of(PAPER.cells).items():
        assert severities == ((1, 2, 3) if corruption in NOISES else (1, 2, 3, 4, 5))


def test_the_papers_corruptions_stand_in_the_order_of_table_5() -> None:
    assert " ".join(PAPER.corruptions) == (
        "motion_blur defocus_blur glass_blur gaussian_blur gaussian_noise impulse_noise shot_noise speckle_noise "
        "brightness contrast saturate jpeg_compression snow spatter fog frost"
    )
    assert PAPER.cells[:6] == (*(("motion_blur", severity) for severity in range(1, 6)), ("defocus_blur", 1))


def test_all_and_fan_have_the_19_corruptions_at_5_and_3_severities() -> None:
    assert {name: len(PROTOCOLS[name]) for name in ("all19", "fan")} == {"all19": 95, "fan": 57}
    for name, severities in (("all19", (1, 2, 3, 4, 5)), ("fan", (1, 2, 3))):
        assert set(severities_of(PROTOCOLS[name].cells)) == set(CATEGORY_OF)
        assert set(severities_of(PROTOCOLS[name].cells).values()) == {severities}
    assert set(CATEGORY_OF) - set(PAPER_CORRUPTIONS) == {"zoom_blur", "elastic_transform", "pixelate"}


def test_the_four_categories_part_the_papers_protocol() -> None:
    parts = [PROTOCOLS[name] for name in ("blur", "noise", "digital", "weather")]
    assert [len(part) for part in parts] == [20, 12, 20, 20]
    assert tuple(cell for part in parts for cell in part.cells) == PAPER.cells
    assert set(PROTOCOLS["noise"].corruptions) == NOISES


def test_only_the_papers_cells_are_comparable_in_whatever_order() -> None:
    assert [name for name, protocol in PROTOCOLS.items() if protocol.comparable] == ["cityscapes-c"]
    shuffled = choose_robust_protocol(corruptions=PAPER.corruptions[::-1])
    assert shuffled.name == CUSTOM and shuffled.comparable
    assert not choose_robust_protocol(severities=[1, 2, 3, 4, 5]).comparable


def test_a_cell_is_equal_to_the_pair_of_its_corruption_and_severity() -> None:
    assert Cell("fog", 3) == ("fog", 3) and {Cell("fog", 3): 1}[("fog", 3)] == 1  # type: ignore[index]
    assert str(Cell("fog", 3)) == "fog at severity 3"


def test_nothing_asked_for_is_the_papers_protocol_and_so_is_the_same_asked_for_word_by_word() -> None:
    assert choose_robust_protocol() is PAPER
    assert choose_robust_protocol(corruptions=PAPER.corruptions) is PAPER
    assert choose_robust_protocol("FAN", severities=[3, 2, 1, 1]) is PROTOCOLS["fan"]


def test_given_corruptions_keep_the_severities_of_the_named_protocol_and_those_of_the_paper_outside_it() -> None:
    asked = ["pixelate", "Shot-Noise", "fog"]
    assert severities_of(choose_robust_protocol(corruptions=asked).cells) == {
        "pixelate": (1, 2, 3, 4, 5),
        "shot_noise": (1, 2, 3),
        "fog": (1, 2, 3, 4, 5),
    }
    assert set(severities_of(choose_robust_protocol("fan", asked).cells).values()) == {(1, 2, 3)}
    assert severities_of(choose_robust_protocol("weather", ["shot_noise"]).cells) == {"shot_noise": (1, 2, 3)}
    assert set(severities_of(choose_robust_protocol("all19", asked).cells).values()) == {(1, 2, 3, 4, 5)}


def test_given_severities_go_for_every_corruption_the_noises_too() -> None:
    assert len(choose_robust_protocol(severities=[1, 2, 3, 4, 5])) == 80
    assert choose_robust_protocol(corruptions=["shot_noise"], severities=[5]).cells == (("shot_noise", 5),)


def test_a_corruption_named_twice_counts_once_where_it_was_named_first() -> None:
    asked = choose_robust_protocol(corruptions=["snow", "fog", "snow", "FOG"], severities=[5, 1, 5])
    assert asked.cells == (("snow", 1), ("snow", 5), ("fog", 1), ("fog", 5))


@given(
    st.lists(st.sampled_from(sorted(CATEGORY_OF)), min_size=1, max_size=8),
    st.none() | st.lists(st.integers(1, 5), min_size=1, max_size=8),
    st.sampled_from(sorted(PROTOCOLS)),
)
@settings(max_examples=50, deadline=None)
def test_every_choice_has_each_cell_once_and_only_what_was_asked_for(
    corruptions: list[str], severities: list[int] | None, name: str
) -> None:
    found = choose_robust_protocol(name, corruptions, severities)
    assert len(set(found.cells)) == len(found)
    assert list(found.corruptions) == sorted(set(corruptions), key=corruptions.index)
    for own in severities_of(found.cells).values():
        assert list(own) == sorted(own)
        assert severities is None or own == tuple(sorted(set(severities)))


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"name": "cityscape-c"}, "there is no robustness protocol 'cityscape-c'", "did you mean cityscapes-c?"),
        ({"corruptions": ["gausian_noise"]}, "no corruption 'gausian_noise'", "did you mean gaussian_noise?"),
        ({"corruptions": ["fog", "weather"]}, "no corruption 'weather'", "--protocol weather"),
        ({"corruptions": []}, "no corruption was named", "motion_blur, "),
        ({"severities": [3, 6]}, "there is no severity 6", "from 1 (mild) to 5 (severe)"),
        ({"severities": [0]}, "there is no severity 0", "from 1 (mild) to 5 (severe)"),
        ({"severities": []}, "no severity was named", "from 1 (mild) to 5 (severe)"),
    ],
)
def test_what_does_not_exist_is_named_with_the_way_out(asked: dict, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        choose_robust_protocol(**asked)
    assert message in raised.value.message
    assert raised.value.hint is not None and hint in raised.value.hint
    assert raised.value.exit_code == 2


def test_a_protocol_says_what_it_is() -> None:
    assert str(PAPER) == (
        "the 16 corruptions of SegFormer's Table 5, the four noises at severities 1 to 3, the others at 1 to 5 "
        "(72 variants of each picture)"
    )
    mixed = choose_robust_protocol(corruptions=["snow", "shot_noise", "fog"])
    assert mixed.sentence == "snow and fog at severities 1 to 5; shot_noise at severities 1 to 3"
    assert str(choose_robust_protocol(corruptions=["fog"], severities=[2])) == (
        "fog at severity 2 (1 variant of each picture)"
    )
    many = choose_robust_protocol("weather", ["snow", "spatter", "fog", "frost", "contrast"], [1, 5])
    assert many.sentence == "5 corruptions (snow, spatter, fog, frost, contrast) at severities 1 and 5"
