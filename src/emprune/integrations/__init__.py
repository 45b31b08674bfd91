"""Thin adapters to other libraries; none of them is imported by the core."""
