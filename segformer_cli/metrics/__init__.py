"""Counting pixels exactly, and the scores made of the counts."""
