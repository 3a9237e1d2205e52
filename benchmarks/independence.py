"""How many pixels of the sample's masks change with the batch size, the threads and the device.

    python benchmarks/independence.py [--device cuda]

On a CPU in fp32 the answer must be none; on a GPU, whose kernels sum in another order for another batch, it is said.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from record import write_record

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.scoring import Pace, judge
from segformer_cli.images import Ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = torch.device(parser.parse_args().device)
    split = open_data("sample", "val")
    reference = masks(split, torch.device("cpu"), batch_size=1)
    cases = {f"{device}, batch {size}": masks(split, device, batch_size=size) for size in (1, 3, 8)}
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // 2))
    cases["cpu, half the threads"] = masks(split, torch.device("cpu"), batch_size=1)
    different = {
        name: sum(int((a != b).sum()) for a, b in zip(each, reference, strict=True)) for name, each in cases.items()
    }
    pixels = sum(mask.size for mask in reference)
    for name, count in different.items():
        print(f"{name}: {count} of {pixels} pixels differ from the CPU at batch 1")
    write_record(
        f"independence-{device.type}", {"threads": threads, "pixels": pixels, "pixels_that_differ": different}
    )


def masks(split: Split, device: torch.device, batch_size: int) -> list[Ids]:
    """The masks of the split in fp32, in its order."""
    segmenter = Segmenter.of(load_model("sample"), device)
    return [np.asarray(each.mask) for each in judge(segmenter, split, Pace(batch_size=batch_size))]


if __name__ == "__main__":
    main()
