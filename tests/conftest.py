"""Shared by all tests: one thread a process, since the tests themselves run side by side."""

import torch

torch.set_num_threads(1)
