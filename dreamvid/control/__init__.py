"""What changes over time: prompts, expressions, key frames, and the sound they follow."""
