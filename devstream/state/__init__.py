"""Recorded truth: one head, one compare-and-swap, written by one thread."""
