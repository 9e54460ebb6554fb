"""CLIP as a guide: loading, image tower, prompts as objectives. The only user of open_clip."""
