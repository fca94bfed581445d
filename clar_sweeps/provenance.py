"""Where a result came from: versions, hardware, code."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_PACKAGES = ("clar-sweeps", "torch", "torchaudio", "nnAudio", "audiomentations", "numpy", "ray")


def describe(device: torch.device) -> dict[str, str]:
    """Versions of what computed a trial, the processor it ran on, and the revision of the code."""
    facts = {"python": platform.python_version(), "platform": _platform()}
    for package in _PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    facts["device"] = _device_name(device)
    facts["cpu_threads"] = str(torch.get_num_threads())
    facts["git_revision"] = _git_revision()
    return facts


def _platform() -> str:
    """System, machine and C library; a kernel's version changes no number."""
    library = "".join(platform.libc_ver())
    return "-".join(filter(None, (platform.system(), platform.machine(), library)))


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "cpu"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "cpu"


def _git_revision() -> str:
    """Commit of the checkout that this package runs from, marked where files differ from it."""
    try:
        # An installed package may lie inside a repository that is not its own.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return _git("describe", "--always", "--dirty", "--abbrev=12")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    answer = subprocess.run(
        ["git", *arguments],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return answer.stdout.strip()
