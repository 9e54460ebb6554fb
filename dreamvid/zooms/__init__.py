"""The endless zoom, and the loop that joins its own beginning."""
