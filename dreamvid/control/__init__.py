"""Settings that change over time: prompts, expressions, key frames, and the sound they follow."""
