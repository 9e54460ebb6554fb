"""Dreaming of one image: canvases, objectives, terms, descent. Nothing here depends on time."""
