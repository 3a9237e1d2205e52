"""What each command means, without a terminal: a config in, progress out, a frozen dataclass back."""
