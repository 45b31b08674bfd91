"""What a run leaves behind: its measures, its result, and where that comes from."""
