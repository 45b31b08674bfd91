"""The laboratory: policies compared on real data, on equal sample budgets. Uses the public API only."""
