"""What decides a run's outcome: its recipe, and everything else that is its identity."""
