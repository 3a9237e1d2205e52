"""A disk that fills up is an error of ours in every writer; the old file stays, and no part of the new one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segformer_cli.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

Make = Callable[..., Checkpoint]

# The limit on the size of files stands in for the end of the disk, in a process of its own since it stays.
WRITE = """
import resource, signal, sys
from pathlib import Path
from segformer_cli.errors import SegFormerError
from segformer_cli.model.checkpoint import load_checkpoint, save_checkpoint
from segformer_cli.model.formats import huggingface, official, smp
source, target, writer = sys.argv[1:]
checkpoint, path = load_checkpoint(source), Path(target)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    if writer == "ours":
        save_checkpoint(path, checkpoint, force=True)
    else:
        {"official": official, "hf": huggingface, "smp": smp}[writer].write(path, checkpoint, force=True)
except SegFormerError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is one of POSIX")
@pytest.mark.parametrize(
    ("writer", "target", "file"),
    [
        ("ours", "w.safetensors", "w.safetensors"),
        ("official", "w.pth", "w.pth"),
        ("hf", "folder", "folder/model.safetensors"),
        ("smp", "folder", "folder/model.safetensors"),
        ("smp", "w.pth", "w.pth"),
    ],
)
def test_a_full_disk_is_told_and_leaves_the_old_file(
    random_checkpoint: Make, tmp_path: Path, writer: str, target: str, file: str
) -> None:
    source = save_checkpoint(tmp_path / "source.safetensors", random_checkpoint())
    old = tmp_path / "out" / file
    old.parent.mkdir(parents=True)
    old.write_bytes(b"the old one")

    command = [sys.executable, "-c", WRITE, str(source), str(tmp_path / "out" / target), writer]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"cannot write {old.name}: ")
    assert "too large" in done.stdout
    assert str(old) in done.stdout
    assert old.read_bytes() == b"the old one"
    assert list(old.parent.iterdir()) == [old]
    assert load_checkpoint(source).config.num_classes == 5
