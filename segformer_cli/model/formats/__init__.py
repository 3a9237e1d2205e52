"""Files of other programs: one module a format, and `read_any`, which tells them apart by their content."""

from segformer_cli.model.formats.reading import read_any

__all__ = ["read_any"]
