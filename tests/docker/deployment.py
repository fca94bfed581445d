"""The files of docker/ as read: YAML, commands, and variables put in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def read_yaml(path: Path) -> list[Any]:
    """All documents of a file."""
    return list(YAML(typ="safe").load_all(path.read_text()))


def service(name: str, file: str = "compose.yaml") -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(DOCKER / file)[0]["services"][name]
    return found


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """Put variables in as compose does: `${NAME}`, `${NAME:-default}`, `${NAME:?why}`."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if name in variables:
            return variables[name]
        assert kind == "-", f"{name} has no value"
        return str(rest)

    return _VARIABLE.sub(value, text)


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile, with their arguments on one line."""
    lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in whole.splitlines()]
