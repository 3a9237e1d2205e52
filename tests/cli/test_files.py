"""The commands that look at and write files: data, weights, doctor."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def weights(tmp_path):
    """A fresh B0 with two classes, in our format."""
    from segformer_cli.model.checkpoint import build_network, checkpoint_of, save_checkpoint
    from segformer_cli.model.header import ModelConfig

    config = ModelConfig(variant="b0", class_names=("land", "water"), palette=((9, 9, 9), (0, 0, 255)))
    return save_checkpoint(tmp_path / "mine.safetensors", checkpoint_of(build_network(config)))


def results(done):
    found = json.loads(done.stdout)
    assert found["ok"] is True, done.stderr
    return found["results"]


def test_data_sample_draws_scenes_in_the_cityscapes_layout(segformer, tmp_path):
    done = segformer("data", "sample", "-o", "scenes", "--train", "2", "--val", "1", "--size", "32x64", "--json")
    assert results(done) == {"path": "scenes", "images": 3, "size_hw": [32, 64]}
    assert len(list((tmp_path / "scenes" / "leftImg8bit").rglob("*.png"))) == 3
    again = segformer("data", "sample", "-o", "scenes", "--train", "1", "--val", "0", "--size", "32x64")
    assert again.returncode == 1
    assert "--force" in again.stderr


def test_dry_run_says_what_would_be_written_and_writes_nothing(segformer, tmp_path):
    done = segformer("data", "sample", "-o", "scenes", "--dry-run")
    assert done.returncode == 0
    assert "would draw 32 scenes of 256x512 into scenes" in done.stdout
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("size", ["512", "axb", "8x8"])
def test_a_size_of_scenes_is_height_x_width_from_32_on(segformer, size):
    done = segformer("data", "sample", "-o", "scenes", "--size", size)
    assert done.returncode == 2
    assert f"size is {size!r}" in done.stderr


def test_data_list_names_the_layouts(segformer):
    names = [layout["name"] for layout in results(segformer("data", "list", "--json"))["layouts"]]
    assert {"cityscapes", "camvid", "folder"} <= set(names)


def test_weights_are_converted_there_and_back_and_stay_the_same_network(segformer, weights, tmp_path):
    info = results(segformer("weights", "info", weights.name, "--json"))
    assert (info["variant"], info["class_names"]) == ("b0", ["land", "water"])
    assert info["provenance"] == "no third-party weights"
    assert segformer("weights", "convert", weights.name, "o.pth", "--to", "official", "--dry-run").returncode == 0
    assert not (tmp_path / "o.pth").exists()
    done = segformer("weights", "convert", weights.name, "o.pth", "--to", "official", "--json")
    assert json.loads(done.stdout)["artifacts"] == ["o.pth"]
    agreement = results(segformer("weights", "verify", weights.name, "o.pth", "--json"))
    assert agreement["agrees"] is True


def test_other_weights_are_told_apart_with_exit_code_3(segformer, weights, tmp_path):
    from segformer_cli.model.checkpoint import checkpoint_of, load_checkpoint, network_from, save_checkpoint

    network = network_from(load_checkpoint(weights))
    network.head.classify.weight.data.mul_(2)
    save_checkpoint(tmp_path / "other.safetensors", checkpoint_of(network))
    done = segformer("weights", "verify", weights.name, "other.safetensors", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == found["error"]["exit_code"] == 3
    assert found["results"]["agrees"] is False


def test_weights_that_do_not_exist_are_an_expected_error(segformer):
    done = segformer("weights", "info", "absent.safetensors")
    assert done.returncode == 1
    assert "absent.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_list_marks_what_is_on_this_machine(segformer, tmp_path):
    found = results(segformer("weights", "list", "--json", HF_HOME=str(tmp_path)))["weights"]
    assert {"b0-ade20k", "b5-cityscapes", "b2-imagenet"} <= {row["name"] for row in found}
    assert not any(row["cached"] for row in found)


def test_weights_download_offline_lacks_the_environment(segformer, tmp_path):
    done = segformer("weights", "download", "b0-ade20k", "--offline", HF_HOME=str(tmp_path))
    assert done.returncode == 4
    assert "hint: " in done.stderr


def test_doctor_says_versions_device_folders_and_the_time_of_one_forward(segformer):
    found = results(segformer("doctor", "--json"))
    assert found["versions"]["torch"]
    assert found["forward_ms"] > 0
    assert {folder["use"] for folder in found["folders"]} >= {"cache of weights", "runs"}
