"""The published numbers, held by what others computed from them."""

from __future__ import annotations

import pytest

from segformer_cli.errors import UsageError
from segformer_cli.robustness.degradation import Degradation, degradation
from segformer_cli.robustness.protocols import PAPER_CORRUPTIONS, PROTOCOLS, Cell
from segformer_cli.robustness.published import DEFAULT_REFERENCE, PUBLISHED_MEANS, TABLE5, PublishedRow, reference
from segformer_cli.robustness.scores import Robustness, robustness

# The means of the rows and what follows from them, each worked out beside the table in the spec, percent.
MEANS = {
    "dlv3plus-mbv2": 31.80,
    "dlv3plus-r50": 36.82,
    "dlv3plus-r101": 39.42,
    "dlv3plus-x41": 42.22,
    "dlv3plus-x65": 42.67,
    "dlv3plus-x71": 43.20,
    "icnet": 28.03,
    "fcn8s": 27.48,
    "dilatednet": 30.22,
    "resnet-38": 36.44,
    "pspnet": 34.58,
    "gscnn": 39.975,
    "segformer-b5": 65.81,
}
DERIVED = {  # blur, noise, digital, weather, retention, mCD, mrCD; the reference is MobileNetV2
    "dlv3plus-mbv2": (49.2, 9.2, 39.5, 29.3, 44.2, 100, 100),
    "dlv3plus-r50": (55.0, 13.7, 45.4, 33.2, 48.1, 91.6, 96.8),
    "dlv3plus-r101": (55.1, 20.1, 48.1, 34.4, 51.1, 88.3, 93.1),
    "dlv3plus-x71": (59.4, 21.6, 53.5, 38.4, 55.0, 81.7, 84.0),
    "icnet": (45.6, 13.8, 33.9, 18.8, 42.5, 107.6, 98.7),
    "gscnn": (54.8, 9.9, 55.1, 40.05, 49.4, 85.4, 96.5),
    "segformer-b5": (67.9, 61.6, 74.4, 59.4, 79.9, 50.6, 41.2),
}


def as_if_run(row: PublishedRow) -> Robustness:
    """The scores of a grid that has the row's mean at every severity."""
    return robustness({cell: row.means[cell.corruption] for cell in PROTOCOLS["cityscapes-c"].cells}, row.clean)


def beside_mobilenet(row: PublishedRow) -> Degradation:
    return degradation(as_if_run(row), reference())


def test_b5_keeps_79_9_percent_of_its_miou_in_a_mean_of_65_81_and_has_a_mcd_of_50_6() -> None:
    b5 = TABLE5["segformer-b5"]
    assert 100 * b5.mean == pytest.approx(65.8125, abs=1e-9)
    assert round(100 * b5.retention, 1) == 79.9
    found = beside_mobilenet(b5)
    assert round(100 * found.mcd, 1) == 50.6 and round(100 * found.mrcd, 1) == 41.2
    assert found.note is None


def test_every_rows_mean_is_that_worked_out_beside_the_table() -> None:
    assert {name: 100 * row.mean for name, row in TABLE5.items()} == pytest.approx(MEANS, abs=0.0051)
    assert list(TABLE5) == list(MEANS)


@pytest.mark.parametrize("name", DERIVED)
def test_every_number_worked_out_beside_the_table_comes_out_of_the_scores(name: str) -> None:
    found, beside = as_if_run(TABLE5[name]), beside_mobilenet(TABLE5[name])
    derived = [*found.per_category.values(), found.retention, beside.mcd, beside.mrcd]
    assert [100 * value for value in derived] == pytest.approx(DERIVED[name], abs=0.051)


def test_a_row_has_sixteen_fractions_in_the_tables_order_each_with_the_digits_printed() -> None:
    for row in TABLE5.values():
        assert tuple(row.means) == PAPER_CORRUPTIONS
        for value in (row.clean, *row.means.values()):
            assert 0 < value < 1 and value == round(value, 3)
    b5 = TABLE5["segformer-b5"]
    assert (b5.clean, b5.means["motion_blur"], b5.means["impulse_noise"], b5.means["frost"]) == (
        0.824,
        0.691,
        0.634,
        0.499,
    )


def test_the_default_reference_is_mobilenet_and_names_are_read_in_either_case() -> None:
    assert reference() == reference(DEFAULT_REFERENCE) == reference("DLv3plus-MBv2")
    assert reference().name == "DLv3+ (MBv2)"
    assert reference().severities["shot_noise"] == (1, 2, 3) and reference().severities["fog"] == (1, 2, 3, 4, 5)


def test_a_wrong_reference_gets_a_guess_and_one_without_single_numbers_an_account() -> None:
    with pytest.raises(UsageError) as raised:
        reference("dlv3plus-mb2")
    assert raised.value.hint == "did you mean dlv3plus-mbv2?"
    with pytest.raises(UsageError, match="of SegFormer-B0 only a mean is published"):
        reference("segformer-b0")


def test_a_run_of_other_severities_is_not_set_beside_the_paper() -> None:
    found = degradation(robustness({Cell("fog", 3): 0.5}, 0.8), reference("segformer-b5"))
    assert found.left_out == {"fog": "here severity 3, in the reference severities 1 to 5"}


def test_the_retentions_that_papers_print_follow_from_their_means() -> None:
    printed = [row for row in PUBLISHED_MEANS.values() if row.retention is not None]
    assert len(printed) == 10
    for row in printed:
        # FAN-B-Hybrid is printed as 81.5, and 66.9 / 82.2 is 81.4: their means had more digits.
        assert 100 * row.mean / row.clean == pytest.approx(100 * row.retention, abs=0.12)


def test_only_means_known_to_be_over_table_5s_cells_are_comparable() -> None:
    assert [name for name, row in PUBLISHED_MEANS.items() if row.comparable] == [
        "segformer-b0",
        "segformer-b1",
        "segformer-b2",
    ]
    assert all("FAN's released script" in row.note for row in PUBLISHED_MEANS.values() if not row.comparable)
    assert not set(PUBLISHED_MEANS) & set(TABLE5)
