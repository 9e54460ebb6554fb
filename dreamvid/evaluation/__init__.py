"""Figures of a result against its source, and of a film as a loop."""
