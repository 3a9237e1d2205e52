"""The command line: one file a command, each a sentence of options, one call, one report."""
