"""Minutes on an accelerator, used in the order of worth: is it right, how fast is it, and the paper's experiment.

Each part has a time limit, leaves its figures in the output folder as they come, and goes on where an earlier call left
off, on another machine too: what a file there holds is not done again.

- ``correctness.json``: tests on the device, one entry each;
- ``speed.json``: a step with pruning against one without, loss and entropy of tokens against cross-entropy, and images
  a second of the laboratory's own loop, by mode and number of runs at once;
- ``results.json``: runs on CIFAR-100 in the laboratory's format, of which ``emprune report DIR`` makes tables;
- ``calls.json``: what each call had (device, versions), lacked, did and left.
"""
