"""One epoch: how many samples it keeps (``schedule``), which ones in which order (``plan``, and ``rank_plan`` where a
rank holds a part of the table), what a step gives (``inputs``), what is observed (``observations``, kept on the device,
and ``exchange``d among the ranks), which batches come again (``passes``, ``batch_shares``) and the epoch in progress
that ties them together (``running``).
"""
