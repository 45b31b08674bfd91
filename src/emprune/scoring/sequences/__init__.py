"""A sequence's values from the logits of its tokens, in one pass forward and backward."""
