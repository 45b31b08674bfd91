"""Networks for images, and how a network goes through a run."""
