"""Language in the lab."""
