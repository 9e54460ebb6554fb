"""CLIP as a guide: loading, image tower, and prompts as objectives. Only here is open_clip used."""
