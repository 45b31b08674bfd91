"""Runs of a user's own function: found by name, watched through its pruner, recorded as every other run."""
