"""The network, its variants, and the files its weights come in."""
