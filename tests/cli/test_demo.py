"""`segformer demo` and `segformer export` as a new user meets them: a process of their own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_the_tour_is_one_page_with_all_of_it(segformer: Run, tmp_path: Path) -> None:
    done = segformer("demo", "-o", "tour/")
    assert done.returncode == 0, done.stderr
    assert "look at it: tour/demo.html" in done.stdout
    assert [line for line in done.stderr.splitlines() if line.startswith("$ segformer ")] == [
        "$ segformer predict sample -w sample -o tour/masks --save mask,overlay",
        "$ segformer eval -w sample -o tour/scores",
        "$ segformer export -w sample -f torchscript -o tour/sample.pt",
        "$ segformer eval-robust --cityscapes-c -w sample --limit 2 -o tour/robust",
    ]
    assert sorted(path.name for path in (tmp_path / "tour").iterdir()) == [
        "demo.html", "masks", "robust", "sample.pt", "scores"
    ]
    page = (tmp_path / "tour" / "demo.html").read_text("utf-8")
    assert "Every corruption at every severity" in page and page.count("data:image") > 20
    again = segformer("demo", "-o", "tour/")
    assert again.returncode == 1 and "exists already" in again.stderr


def test_export_prints_its_verdict(segformer: Run, tmp_path: Path) -> None:
    done = segformer("export", "-w", "sample", "-o", "sample.pt")
    assert done.returncode == 0, done.stderr
    assert "pass: logits differ by at most" in done.stdout
    done = segformer("export", "-w", "sample", "-o", "sample.pt", "--force", "--json", "-q")
    results = json.loads(done.stdout)["results"]
    assert results["verification"]["verdict"] == "pass"
    promised = {"ran", "max_abs_error", "argmax_agreement", "shapes", "tolerance", "verdict"}
    assert promised <= set(results["verification"])
    assert segformer("export", "-f", "onxx", "-w", "sample").returncode == 2
    assert (tmp_path / "sample.pt").is_file()
