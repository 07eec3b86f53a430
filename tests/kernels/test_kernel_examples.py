"""The examples of kernels/README.md run, each in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import fastsig_kernels
import pytest

FOLDER = Path(fastsig_kernels.__file__).parents[1]
BLOCKS = re.findall(r"^```(\w*).*?\n(.*?)^```$", (FOLDER / "README.md").read_text(),
                    re.DOTALL | re.MULTILINE)
EXAMPLES = [text for language, text in BLOCKS if language == "python"]


def test_there_are_three_and_nothing_else_to_run():
    assert len(EXAMPLES) == len(BLOCKS) == 3


@pytest.mark.parametrize("number", range(3))
def test_example(number):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXAMPLES[number]], capture_output=True, text=True,
        timeout=300, env={**os.environ, "PYTHONPATH": str(FOLDER)}, check=False,
    )
    assert result.returncode == 0, result.stderr
    if number == 0:
        # The comment behind `print` tells what it prints.
        stated = re.search(r"print\(.*#\s*(.*)", EXAMPLES[0])
        assert result.stdout.strip() == stated.group(1)
