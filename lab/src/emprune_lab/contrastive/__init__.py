"""Contrastive learning in the lab: views, networks, the queue of keys, and how representations are judged."""
