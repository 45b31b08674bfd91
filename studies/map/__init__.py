"""Where pruning pays: gain over dynamic random and speed-up by effective epochs, over the runs of all studies."""
