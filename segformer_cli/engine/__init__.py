"""Tensor work that needs a model and data, without files."""
