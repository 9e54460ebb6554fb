"""One image: what it shall mean, and the descent towards it. Knows nothing of time."""
