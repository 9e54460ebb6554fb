"""Playing: the picture at its own rate, the dream as fast as it can, and hands on the numbers."""
