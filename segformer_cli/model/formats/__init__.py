"""One file a foreign format of weights: its key table, each way."""
