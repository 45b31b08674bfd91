"""What a run has learnt of its data: a pruner's state or export, read, summed up, and shown sample by sample."""
