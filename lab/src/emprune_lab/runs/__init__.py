"""A run from its spec to its result, and many of them side by side."""
