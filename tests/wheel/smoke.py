"""Run against the wheel alone: it imports with torch and numpy only, and prunes."""

import importlib.util
import subprocess
import sys

import torch

import emprune

unwanted = [
    name for name in ("rich", "tyro", "matplotlib", "sklearn", "transformers") if importlib.util.find_spec(name)
]
assert not unwanted, f"this environment should have torch and numpy only, but has {unwanted}"
assert "site-packages" in emprune.__file__, emprune.__file__

pruner = emprune.Pruner(100, "emp", prune_rate=0.7, num_epochs=3)
for _ in pruner.epochs():
    for ids in emprune.IdBatches(pruner, batch_size=8):
        logits = torch.randn(len(ids), 5, requires_grad=True)
        pruner.loss(ids, *emprune.scoring.classification(logits, ids % 5)).backward()
assert pruner.report().samples_backward == 90

command = subprocess.run([sys.executable, "-m", "emprune", "methods"], capture_output=True, text=True)
assert command.returncode == 2, command
assert "pip install ./lab" in command.stderr, command.stderr
print(f"emprune {emprune.__version__} from the wheel, python {sys.version.split()[0]}: 1 passed, 0 failed")
