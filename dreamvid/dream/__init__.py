"""The dream of one image: canvases, objectives, terms, descent. Knows nothing of time."""
