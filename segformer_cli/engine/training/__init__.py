"""Learning: one optimiser step after another, the loss it descends, and what of it must outlive the process."""
