"""The endless zoom, and the zoom that loops."""
