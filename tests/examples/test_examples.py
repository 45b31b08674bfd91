"""Every example runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ARGUMENTS = {"plain_loop.py": ["--epochs", "6"]}
# See test_ddp_example.py, test_lightning_example.py, test_own_data_page.py, test_simclr_example.py,
# test_stream_example.py, test_task_examples.py, test_trainer_examples.py and test_killed_trainers.py.
ELSEWHERE = {
    "ddp_fashion_mnist.py", "simclr_fashion_mnist.py", "trainer_text.py", "instruction_tuning.py", "accelerate_loop.py",
    "binary_labels.py", "several_labels.py", "segmentation.py", "regression.py", "lightning_digits.py",
    "accelerate_digits.py", "compare_digits.py", "compare_text.py", "stream_fashion_mnist.py",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted({path.name for path in EXAMPLES.glob("*.py")} - ELSEWHERE))
def test_example_runs(name):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *ARGUMENTS.get(name, [])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
