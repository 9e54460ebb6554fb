"""What results are shown and compared by: pages in one file, and films side by side."""
