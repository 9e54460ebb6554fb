"""A run on disk: what is done is safe, and goes on where it was stopped."""
