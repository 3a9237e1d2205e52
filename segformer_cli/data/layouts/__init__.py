"""One file a data set: how it lies on disk."""
