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

    def __init__(self, cells: Iterable[TrialConfig], *, in_label_tables: bool) -> None:
        """Find the fields that vary.

        Args:
            cells: Configs at seed 0 of all planned trials; equal ones may come again.
            in_label_tables: Methods and labelled shares are rows and columns of a table; what
                differs between the methods alone is then no setting.
        """
        self._left_out = _NOT_A_SETTING | (_OF_LABEL_TABLES if in_label_tables else set())
        # By cell: no setting is a seed.
        self._fields_of: dict[TrialConfig, dict[str, Any]] = {}
        self._texts: dict[TrialConfig, str] = {}
        seen: dict[tuple[Group, str], dict[str, dict[str, None]]] = {}
        for config in dict.fromkeys(cells):
            compared = config.method if in_label_tables else ""
            values = seen.setdefault((_group(config), compared), {})
            for name, value in self._fields(config).items():
                values.setdefault(name, {})[json.dumps(value)] = None
        self._varied: dict[Group, dict[str, None]] = {}
        for (group, _), values in seen.items():
            found = [name for name, texts in values.items() if len(texts.keys() - {"null"}) > 1]
            self._varied.setdefault(group, {}).update(dict.fromkeys(found))

    def take_in(self, other: "Settings") -> None:
        """Count what another sweep varies as varied here too, and not what tells the two apart."""
        for group, names in other._varied.items():
            self._varied.setdefault(group, {}).update(names)
        self._texts.clear()

    def text(self, cell: TrialConfig) -> str:
        """The varied fields that apply to the trials of a cell, with its values."""
        if cell not in self._texts:
            self._texts[cell] = self._text_anew(cell)
        return self._texts[cell]

    def _text_anew(self, cell: TrialConfig) -> str:
        fields = self._fields(cell)
        varied = self._varied.get(_group(cell), {})
        parts = [(name, fields.get(name)) for name in fields if name in varied]
        return _SEPARATOR.join(
            f"{name} {_plain(value)}" for name, value in parts if value is not None
        )

    def _fields(self, cell: TrialConfig) -> dict[str, Any]:
        if cell not in self._fields_of:
            self._fields_of[cell] = self._fields_anew(cell)
        return self._fields_of[cell]

    def _fields_anew(self, config: TrialConfig) -> dict[str, Any]:
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


class Nesting:
    """Which settings are part of which, without comparing all of hundreds with one another.

    A field applies to a trial or does not, so that settings have few different sets of fields: a
    setting is looked up under each of them.
    """

    def __init__(self, settings: Iterable[str]) -> None:
        """Take in the settings of one place."""
        self._settings = {_parts(setting): setting for setting in settings}
        self._fields = {_fields_in(parts) for parts in self._settings}

    def within(self, setting: str) -> list[str]:
        """The settings that are part of one, itself among them if it is one of all."""
        values = {part.partition(" ")[0]: part for part in _parts(setting)}
        found = (
            self._settings.get(frozenset(values[name] for name in fields))
            for fields in self._fields
            if fields <= values.keys()
        )
        return [one for one in found if one is not None]

    def widest(self) -> list[str]:
        """The settings that are part of no other, in their order: one panel each."""
        covered = {
            one for whole in self._settings.values() for one in self.within(whole) if one != whole
        }
        return [one for one in self._settings.values() if one not in covered]


def _parts(setting: str) -> frozenset[str]:
    return frozenset(setting.split(_SEPARATOR)) - {""}


def _fields_in(parts: frozenset[str]) -> frozenset[str]:
    return frozenset(part.partition(" ")[0] for part in parts)


def _group(config: TrialConfig) -> Group:
    return config.dataset, config.condition, config.folder, config.encoder


def _plain(value: Any) -> str:
    return "/".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
