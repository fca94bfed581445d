"""What tells the panels of a sweep apart: the fields that it varies beside those of its cells.

A field that does not apply to a trial (the temperature of a supervised one) takes no side: the
trial belongs to the panels of all its values.
"""

import json
from collections.abc import Iterable
from typing import Any

from clar_sweeps.config import EXECUTION_ONLY, TrialConfig

# Of the cells, the seeds and the title of a panel.
_NOT_A_SETTING = {"augment", "seed", "dataset", "condition", "folder", "encoder"} | {
    name
    for name, field in TrialConfig.model_fields.items()
    if field.json_schema_extra == EXECUTION_ONLY
}
# Rows and columns of a table of labelled shares.
_OF_LABEL_TABLES = {"method", "label_fraction", "supervised_budget"}
# Fields that are reset, not cleared, where they do not apply, and a value unlike their default.
_PROBES: dict[str, object] = {"augment_definition": "released", "temperature": 0.25}
_SEPARATOR = ", "

Group = tuple[str | None, ...]


class Settings:
    """Texts of the settings of a sweep's trials."""

    def __init__(self, configs: Iterable[TrialConfig], *, in_label_tables: bool) -> None:
        """Find the fields that vary.

        Args:
            configs: Of all planned trials.
            in_label_tables: Methods and labelled shares are rows and columns of a table; what
                differs between the methods alone is then no setting.
        """
        self._left_out = _NOT_A_SETTING | (_OF_LABEL_TABLES if in_label_tables else set())
        seen: dict[tuple[Group, str], dict[str, dict[str, None]]] = {}
        for config in configs:
            compared = config.method if in_label_tables else ""
            values = seen.setdefault((_group(config), compared), {})
            for name, value in self._fields(config).items():
                values.setdefault(name, {})[json.dumps(value)] = None
        self._varied: dict[Group, dict[str, None]] = {}
        for (group, _), values in seen.items():
            found = [name for name, texts in values.items() if len(texts.keys() - {"null"}) > 1]
            self._varied.setdefault(group, {}).update(dict.fromkeys(found))

    def text(self, config: TrialConfig) -> str:
        """The varied fields that apply to a trial, with its values."""
        fields = self._fields(config)
        varied = self._varied.get(_group(config), {})
        parts = [(name, fields.get(name)) for name in fields if name in varied]
        return _SEPARATOR.join(
            f"{name} {_plain(value)}" for name, value in parts if value is not None
        )

    def _fields(self, config: TrialConfig) -> dict[str, Any]:
        fields = config.model_dump(mode="json", exclude=self._left_out)
        for name, other in _PROBES.items():
            if not applies(config, name, other):
                fields[name] = None
        chances = fields["augment_probability"]
        # One operation has one chance and a pair two: equal ones are the same setting.
        fields["augment_probability"] = chances[0] if len(set(chances)) == 1 else chances
        features = fields.pop("features") or {}
        return fields | {f"features.{name}": value for name, value in features.items()}


def applies(config: TrialConfig, name: str, other: object) -> bool:
    """Whether the normal form of a config keeps another value of a field."""
    changed = TrialConfig.model_validate({**dict(config), name: other})
    kept: object = getattr(changed, name)
    return kept == other


def includes(setting: str, other: str) -> bool:
    """Whether a trial of the setting `other` belongs to the panel of `setting`."""
    return _parts(other) <= _parts(setting)


def widest(settings: Iterable[str]) -> list[str]:
    """The settings that are part of no other, in their order: one panel each."""
    distinct = list(dict.fromkeys(settings))
    return [one for one in distinct if not any(_parts(one) < _parts(two) for two in distinct)]


def _parts(setting: str) -> set[str]:
    return set(setting.split(_SEPARATOR)) - {""}


def _group(config: TrialConfig) -> Group:
    return config.dataset, config.condition, config.folder, config.encoder


def _plain(value: Any) -> str:
    return "/".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
