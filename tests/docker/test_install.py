"""The Dockerfile's instructions up to its user, in a fresh virtual environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deployment import DOCKER, ROOT, instructions


@pytest.mark.slow
def test_what_the_image_installs_can_plan_a_sweep(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    variables = {
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))},
    }
    image = tmp_path / "image"
    folder = image
    for name, arguments in instructions((DOCKER / "Dockerfile").read_text()):
        if name == "ARG":
            variables |= [arguments.split("=")]
        elif name == "WORKDIR":
            folder = image / arguments.strip("/")
            folder.mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *sources, target = arguments.split()
            for source in sources:
                copy(ROOT / source, folder / target)
        elif name == "RUN" and not arguments.startswith("useradd"):
            subprocess.run(arguments, shell=True, cwd=folder, env=variables, check=True)
    planned = subprocess.run(
        ["clar-sweep", "plan", "sweeps/quickstart.yaml"],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "quickstart: 36 trials (36 missing)" in planned.stdout


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
