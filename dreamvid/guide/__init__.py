"""CLIP: loading it, its image tower, and prompts as it sees them. The home of open_clip."""
