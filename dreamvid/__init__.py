"""Dreams video: see the README."""
