"""Named weights, through the real client, from a small hub on this machine that the test plays itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from segformer_cli.errors import WeightsError
from segformer_cli.model import hub, named_weights

ROOT = Path(__file__).parents[2]
COMMIT = "c0ffee" + 34 * "0"
REPO = "nvidia/segformer-b1-finetuned-ade-512-512"
WEIGHTS = b"weights of b1" * 1000

# Fetches in an interpreter of its own, because the client reads its variables when it is imported.
FETCH = """
import json, sys
from segformer_cli.errors import SegFormerError
from segformer_cli.model.hub import fetch

steps = []
def listen(step):
    steps.append([step.stage, step.done, step.total, step.unit])
try:
    folder = fetch(sys.argv[1], offline=sys.argv[2] == "offline", progress=listen)
    result = {"folder": str(folder), "files": sorted(p.name for p in folder.iterdir())}
except SegFormerError as error:
    result = {"error": type(error).__name__, "text": str(error), "exit_code": error.exit_code}
print(json.dumps({"steps": steps, **result}))
"""


@dataclass
class Hub:
    """A hub with one commit of some repositories; how it misbehaves is in its fields."""

    files: dict[str, bytes]
    address: str = ""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    status: int = 200
    error_code: str | None = None
    damaged: str | None = None
    claimed_sizes: dict[str, int] = field(default_factory=dict)
    drop_after: int | None = None

    def gets(self, file: str) -> list[str | None]:
        """The Range of each GET of a file."""
        return [span for method, path, span in self.requests if method == "GET" and path.endswith(file)]


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET of /owner/name/resolve/revision/file as the hub does for a file in its LFS."""

    hub: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        span = self.headers.get("Range")
        self.hub.requests.append((self.command, self.path, span))
        place = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
        repo, file = place.groups() if place else ("", "")
        content = self.hub.files.get(f"{repo}/{file}")
        if self.hub.status != 200:
            self.refuse(self.hub.status, self.hub.error_code)
        elif content is None:
            known = any(name.startswith(f"{repo}/") for name in self.hub.files)
            self.refuse(404 if known else 401, "EntryNotFound" if known else "RepoNotFound")
        else:
            self.send(file, content, int(span.removeprefix("bytes=").rstrip("-")) if span else 0, body)

    def refuse(self, status: int, code: str | None) -> None:
        self.send_response(status)
        self.send_header("X-Repo-Commit", COMMIT)
        if code is not None:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, file: str, content: bytes, start: int, body: bool) -> None:
        promised = hashlib.sha256(content).hexdigest()
        if file == self.hub.damaged:
            content = b"X" + content[1:]
        part = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{COMMIT[:32]}"')
        self.send_header("X-Linked-Etag", f'"{promised}"')
        self.send_header("X-Linked-Size", str(self.hub.claimed_sizes.get(file, len(content))))
        self.send_header("Content-Length", str(len(part)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body and self.hub.drop_after is not None and len(content) > self.hub.drop_after:
            part, self.hub.drop_after = part[: self.hub.drop_after], None
            self.close_connection = True
        if body:
            self.wfile.write(part)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def small_hub() -> Iterator[Hub]:
    files = {"config.json": b"{}", "preprocessor_config.json": b"{}", "pytorch_model.bin": WEIGHTS}
    state = Hub({f"{REPO}/{name}": content for name, content in files.items()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": state}))
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Machine:
    """A machine with its own hub cache."""

    home: Path
    address: str

    def fetch(self, name: str, *, offline: bool = False, **variables: str) -> dict[str, Any]:
        kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
        environment = {**kept, "HF_ENDPOINT": self.address, "HF_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", FETCH, name, "offline" if offline else "online"]
        run = subprocess.run(command, env={**environment, **variables}, capture_output=True, text=True, timeout=60)
        assert run.stderr == ""
        result: dict[str, Any] = json.loads(run.stdout)
        return result

    def file(self, name: str) -> Path:
        return self.home / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots" / COMMIT / name


@pytest.fixture
def machine(tmp_path: Path, small_hub: Hub) -> Machine:
    return Machine(tmp_path / "home", small_hub.address)


def test_a_first_fetch_brings_the_files_and_tells_its_progress(machine: Machine, small_hub: Hub) -> None:
    result = machine.fetch("b1-ade20k")

    assert result["files"] == ["config.json", "preprocessor_config.json", "pytorch_model.bin"]
    assert (Path(result["folder"]) / "pytorch_model.bin").read_bytes() == WEIGHTS
    size = len(WEIGHTS)
    assert result["steps"] == [
        ["download b1-ade20k", 0, size, "B"],
        ["download b1-ade20k", size, size, "B"],
    ]


def test_a_fetch_asks_for_nothing_but_the_files(machine: Machine, small_hub: Hub) -> None:
    machine.fetch("b1-ade20k")

    assert all(path.startswith(f"/{REPO}/resolve/") for _, path, _ in small_hub.requests)


def test_safetensors_is_taken_where_there_is_one(machine: Machine, small_hub: Hub) -> None:
    small_hub.files[f"{REPO}/model.safetensors"] = b"safe"

    assert machine.fetch("b1-ade20k")["files"] == ["config.json", "model.safetensors", "preprocessor_config.json"]


def test_a_preprocessor_is_not_needed(machine: Machine, small_hub: Hub) -> None:
    del small_hub.files[f"{REPO}/preprocessor_config.json"]

    assert machine.fetch("b1-ade20k")["files"] == ["config.json", "pytorch_model.bin"]


def test_a_short_name_in_the_cache_costs_no_request(machine: Machine, small_hub: Hub) -> None:
    first = machine.fetch("b1-ade20k")
    small_hub.requests.clear()

    second = machine.fetch("b1-ade20k")

    assert second["folder"] == first["folder"]
    assert small_hub.requests == []


def test_other_weights_in_the_cache_are_looked_up_but_not_sent_again(machine: Machine, small_hub: Hub) -> None:
    small_hub.files = {"me/mine/config.json": b"{}", "me/mine/model.safetensors": b"mine"}
    machine.fetch("me/mine")

    assert "folder" in machine.fetch("me/mine")
    assert small_hub.gets("model.safetensors") == [None]


def test_other_weights_in_the_cache_serve_when_the_hub_is_down(machine: Machine, small_hub: Hub) -> None:
    small_hub.files = {"me/mine/config.json": b"{}", "me/mine/model.safetensors": b"mine"}
    first = machine.fetch("me/mine")
    small_hub.status = 503

    assert machine.fetch("me/mine")["folder"] == first["folder"]


def test_an_interrupted_download_goes_on_where_it_stopped(machine: Machine, small_hub: Hub) -> None:
    big = bytes(range(256)) * (48 * 1024)  # 12 MiB; the client writes 10 MiB at a time
    small_hub.files[f"{REPO}/pytorch_model.bin"] = big
    small_hub.drop_after = 11 * 2**20

    result = machine.fetch("b1-ade20k")

    assert small_hub.gets("pytorch_model.bin") == [None, f"bytes={10 * 2**20}-"]
    assert (Path(result["folder"]) / "pytorch_model.bin").read_bytes() == big
    assert [done for _, done, _, _ in result["steps"]] == [0, 10 * 2**20, 12 * 2**20]


def test_a_file_other_than_the_hub_promised_is_refused_and_removed(machine: Machine, small_hub: Hub) -> None:
    small_hub.damaged = "pytorch_model.bin"

    refused = machine.fetch("b1-ade20k")

    assert refused["error"] == "WeightsError"
    assert hashlib.sha256(WEIGHTS).hexdigest() in refused["text"]
    assert hashlib.sha256(b"X" + WEIGHTS[1:]).hexdigest() in refused["text"]
    assert not machine.file("pytorch_model.bin").is_symlink()
    blobs = machine.file("").parents[1] / "blobs"
    assert all(blob.stat().st_size < 100 for blob in blobs.iterdir())

    small_hub.damaged = None
    assert "folder" in machine.fetch("b1-ade20k")


def test_a_file_other_than_the_table_promises_is_refused(machine: Machine, small_hub: Hub) -> None:
    repo = named_weights.NAMED_WEIGHTS["b0-ade20k"].repo
    small_hub.files = {f"{repo}/config.json": b"{}", f"{repo}/model.safetensors": b"another file"}

    refused = machine.fetch("b0-ade20k")

    assert refused["error"] == "WeightsError"
    assert f"the table of this package says {named_weights.NAMED_WEIGHTS['b0-ade20k'].sha256}" in refused["text"]


def test_a_cached_file_that_was_damaged_later_is_refused(machine: Machine, small_hub: Hub) -> None:
    machine.fetch("b1-ade20k")
    machine.file("pytorch_model.bin").resolve().write_bytes(WEIGHTS[:-1])

    assert machine.fetch("b1-ade20k", offline=True)["error"] == "WeightsError"
    assert "folder" in machine.fetch("b1-ade20k")


def test_a_repository_that_is_not_there_gets_a_guess(machine: Machine, small_hub: Hub) -> None:
    refused = machine.fetch("nvidia/segformer-b1-finetuned-ade-512")

    assert refused["error"] == "WeightsError"
    assert f"did you mean {REPO}?" in refused["text"]


def test_an_unknown_short_name_gets_a_guess_without_a_request(machine: Machine, small_hub: Hub) -> None:
    refused = machine.fetch("b1-ade20")

    assert refused["error"] == "WeightsError"
    assert "did you mean b1-ade20k?" in refused["text"]
    assert small_hub.requests == []


def test_a_gated_repository_is_called_gated(machine: Machine, small_hub: Hub) -> None:
    small_hub.status, small_hub.error_code = 403, "GatedRepo"

    refused = machine.fetch("me/mine")

    assert refused["error"] == "WeightsError"
    assert "me/mine is gated" in refused["text"]
    assert "HF_TOKEN" in refused["text"]


def test_a_repository_without_weights_says_what_was_looked_for(machine: Machine, small_hub: Hub) -> None:
    small_hub.files = {"me/mine/config.json": b"{}"}

    assert "looked for model.safetensors or pytorch_model.bin" in machine.fetch("me/mine")["text"]


def test_a_hub_that_is_down_is_a_lack_of_the_environment(machine: Machine, small_hub: Hub) -> None:
    small_hub.status = 503

    refused = machine.fetch("b1-ade20k")

    assert (refused["error"], refused["exit_code"]) == ("EnvironmentLacksError", 4)
    assert "503" in refused["text"]


def test_no_network_is_a_lack_of_the_environment_that_names_sample(tmp_path: Path) -> None:
    refused = Machine(tmp_path, "http://127.0.0.1:9").fetch("b1-ade20k")

    assert (refused["error"], refused["exit_code"]) == ("EnvironmentLacksError", 4)
    assert "`-w sample` works offline" in refused["text"]


def test_a_full_disk_is_told_before_the_download(machine: Machine, small_hub: Hub) -> None:
    small_hub.claimed_sizes["pytorch_model.bin"] = 10**18

    refused = machine.fetch("b1-ade20k")

    assert refused["error"] == "EnvironmentLacksError"
    assert "no room on the disk for b1-ade20k: 1000000000000 MB needed" in refused["text"]
    assert small_hub.gets("pytorch_model.bin") == []


@pytest.mark.parametrize("switch", [{"offline": True}, {"HF_HUB_OFFLINE": "1"}])
def test_offline_takes_what_is_cached_and_asks_for_nothing(
    machine: Machine, small_hub: Hub, switch: dict[str, Any]
) -> None:
    absent = machine.fetch("b1-ade20k", **switch)
    assert (absent["error"], absent["exit_code"]) == ("EnvironmentLacksError", 4)
    assert "`-w sample` works offline" in absent["text"]
    assert small_hub.requests == []

    machine.fetch("b1-ade20k")
    small_hub.requests.clear()

    assert "folder" in machine.fetch("b1-ade20k", **switch)
    assert small_hub.requests == []


def test_every_variant_has_its_published_weights() -> None:
    tasks = ("ade20k", "cityscapes", "imagenet")
    assert {f"b{i}-{task}" for i in range(6) for task in tasks} <= set(named_weights.NAMED_WEIGHTS)
    assert all(name.startswith(f"{row.variant}-{row.task}") for name, row in named_weights.NAMED_WEIGHTS.items())
    assert named_weights.NAMED_WEIGHTS["b5-ade20k"].repo == "nvidia/segformer-b5-finetuned-ade-640-640"
    assert named_weights.NAMED_WEIGHTS["b0-cityscapes-640x1280"].repo.endswith("cityscapes-640-1280")
    assert len({row.repo for row in named_weights.NAMED_WEIGHTS.values()}) == len(named_weights.NAMED_WEIGHTS) == 21


def test_known_names_are_the_table() -> None:
    assert [row.name for row in hub.known_names()] == list(named_weights.NAMED_WEIGHTS)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("b0-ade20k", True),
        ("B5-Cityscapes", True),
        ("nvidia/mit-b0", True),
        ("smp-hub/mit_b0.imagenet", True),
        ("sample", False),
        ("b9-ade20k", False),
        ("runs/best.pth", False),
        ("a/b/c", False),
        ("./mine/weights", False),
        ("C:\\weights", False),
    ],
)
def test_a_hub_name_is_a_short_name_or_an_owner_and_a_name(text: str, answer: bool) -> None:
    assert named_weights.is_hub_name(text) is answer


def test_conversions_of_nvidias_weights_keep_nvidias_licence() -> None:
    for name in ("b0-ade20k", "nvidia/mit-b3", "smp-hub/segformer-b0-512x512-ade-160k", "smp-hub/mit_b0.imagenet"):
        assert named_weights.licence_of(name) == named_weights.NVIDIA_LICENCE
        notice = named_weights.licence_notice(name)
        assert notice is not None
        assert "research or evaluation only" in notice
        assert named_weights.provenance(named_weights.licence_of(name)) == "contains NVIDIA weights: non-commercial"


def test_weights_of_unknown_licence_are_not_called_free() -> None:
    licence = named_weights.licence_of("someone/finetuned")

    assert licence is not None
    assert "model card of someone/finetuned" in licence
    assert named_weights.provenance(licence).startswith("contains third-party weights")
    assert named_weights.licence_of("sample") is None
    assert named_weights.licence_notice("sample") is None


def test_is_cached_refuses_a_name_that_does_not_exist() -> None:
    with pytest.raises(WeightsError, match="no weights named 'b9-ade20k'"):
        hub.is_cached("b9-ade20k")
