"""Groups of images, read off their names: those that a pattern gives, and those that look like videos."""

from __future__ import annotations

import pytest

from segformer_cli.errors import UsageError
from segformer_cli.metrics.clusters import clusters_of, dependence_warning, suggested_clusters


def test_the_first_parentheses_of_a_pattern_name_the_cluster_and_without_any_the_whole_match() -> None:
    keys = ["aachen/aachen_000001_000019", "ulm/ulm_000002_000019"]
    assert clusters_of(keys, "^([^/]+)/") == ("aachen", "ulm")
    assert clusters_of(keys, r"[a-z]+_\d+") == ("aachen_000001", "ulm_000002")


def test_a_pattern_that_does_not_fit_every_key_is_refused() -> None:
    with pytest.raises(UsageError, match=r"group_images '\(a\)' finds nothing in 2 of 3 images \(first: b1\)"):
        clusters_of(["a1", "b1", "b2"], "(a)")
    with pytest.raises(UsageError, match="finds nothing in 1 of 2"):
        clusters_of(["a1", "b1"], "(a)|b")
    with pytest.raises(UsageError, match=r"group_images '\(' is no regular expression"):
        clusters_of(["a"], "(")


CAMVID = (
    [f"Seq05VD_f{frame:05}" for frame in range(0, 5130, 30)]
    + [f"0001TP_{frame:06}" for frame in range(8550, 10380, 30)]
)
CITYSCAPES = (
    [f"frankfurt_000000_{frame:06}" for frame in range(294, 22797, 500)]
    + [f"frankfurt_000001_{frame:06}" for frame in range(538, 85000, 380)]
    + [f"lindau_{number:06}_000019" for number in range(59)]
    + [f"munster_{number:06}_000019" for number in range(174)]
)


@pytest.mark.parametrize(
    ("keys", "clusters"),
    [
        (CAMVID, 2),
        ([f"0016E5_{frame:05}" for frame in range(7959, 8161, 2)], 1),
        (CITYSCAPES, 2 + 59 + 174),
        ([f"clip{clip}/{frame:06}" for clip in range(4) for frame in range(30)], 4),
        ([f"GOPR{clip:04}_frame_{frame:06}_rgb_anon" for clip in range(9) for frame in range(90, 900, 90)], 9),
    ],
)
def test_frames_of_recordings_are_recognised_by_their_names(keys: list[str], clusters: int) -> None:
    pattern = suggested_clusters(keys)
    assert pattern is not None
    assert len(set(clusters_of(keys, pattern))) == clusters


@pytest.mark.parametrize(
    "keys",
    [
        [],
        ["Seq05VD_f00000"],
        [f"ADE_val_{number:08}" for number in range(1, 2001)],
        [f"{number:012}" for number in range(139, 90000, 77)],
        [f"COCO_val2014_{number**2:012}" for number in range(6, 700)],
        [f"{year}_{number:06}" for year in range(2007, 2012) for number in range(33, 900, 7)],
        [f"{breed}_{number}" for breed in ("beagle", "Abyssinian", "pug") for number in range(1, 120)],
        [f"sample_{seed:06}_000019" for seed in range(100)],
        [f"IMG2024_{number:04}" for number in range(1, 300)],
        [f"{number:08x}-{number * 7919:08x}" for number in range(1, 10**9, 9**7)],
        ["0016E5_00390", "0016E5_00420", "picture", "another", "third"],
    ],
    ids=["none", "one", "ade20k", "coco", "coco 2014", "voc", "pets", "sample", "camera", "bdd", "mixed"],
)
def test_names_that_say_nothing_of_recordings_give_no_hint(keys: list[str]) -> None:
    assert suggested_clusters(keys) is None


def test_the_warning_of_frames_names_the_flag_that_draws_whole_videos_and_others_have_none() -> None:
    warning = dependence_warning(CAMVID)
    assert warning is not None
    assert warning.startswith("the images look like frames of videos, which are not independent")
    assert f"--group-images '{suggested_clusters(CAMVID)}' draws whole videos" in warning
    one = dependence_warning(CAMVID[-61:])
    assert one == "all images look like frames of one video, 0001TP: no honest interval exists"
    assert dependence_warning(["beagle_1", "beagle_2"]) is None
    assert dependence_warning([]) is None
