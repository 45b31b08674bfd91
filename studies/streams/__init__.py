"""What does choosing inside the batches of a stream cost and gain against the score table? See README.md beside this file."""
