"""A film from source to result: the pipeline, the loop over time, and what holds for each frame."""
