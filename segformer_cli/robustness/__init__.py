"""Corruptions, the protocols that are made of them, and the scores that come of it."""

from segformer_cli.robustness.corruptions import corrupt

__all__ = ["corrupt"]
