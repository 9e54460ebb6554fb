"""The figures of a result against its source."""
