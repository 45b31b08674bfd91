"""Choosing inside the batches of a stream: what it costs and gains against the score table. See README.md."""
