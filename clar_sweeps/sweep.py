"""Sweep files: YAML to a plan of trials.

A sweep has fixed fields, axes whose product is taken, zipped groups of fields that move
together, and seeds. The grid is expanded here, without Ray: `plan` is a dry run, ids survive
an upgrade of the executor, and a report can show the cell that never ran.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from clar_sweeps.collector import paused
from clar_sweeps.config import (
    NAME_PATTERN,
    Augmentation,
    Seed,
    Trial,
    TrialConfig,
    make_trial,
    parse_config,
)
from clar_sweeps.errors import ConfigError, RecordError
from clar_sweeps.faults import Fault, Frozen, one_line, parse

# Characters of a run folder's name.
_LONGEST_NAME = 100

Place = tuple[str | int, ...]
# Settings of one trial: the value of each field and where in the file it stands.
Settings = dict[str, tuple[Any, Place]]


class Pairs(Frozen):
    """All ordered pairs of these operations; the pair of one with itself is that one alone."""

    pairs: Annotated[tuple[Augmentation, ...], Field(min_length=2)]


class Resources(Frozen):
    """What one trial occupies, and how many run at once."""

    cpus_per_trial: Annotated[float, Field(gt=0)] = Field(
        1.0, description="CPU slots a trial, shared out over its ranks"
    )
    gpus_per_trial: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Fractions pack trials; one GPU each where there are any, if not given"
    )
    ranks_per_trial: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Processes that share each batch of a trial; one a GPU, if not given",
    )
    max_concurrent: Annotated[int, Field(ge=1)] | None = Field(
        None, description="At most so many trials at once; as many as fit, if not given"
    )


class Recovery(Frozen):
    """What becomes of a trial that fails, diverges or hangs."""

    max_retries: Annotated[int, Field(ge=0)] = Field(
        2, description="Times that a trial is taken up again from its checkpoint"
    )
    hang_timeout_minutes: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Minutes without a sign of life after which a process is ended"
    )


class SweepFile(Frozen):
    """A sweep file as written."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)] = Field(
        description="Names the run folder: letters, digits, dot, underscore, hyphen"
    )
    description: str = Field("", description="One line for the report")
    fixed: dict[str, Any] = Field({}, description="Fields equal in all trials")
    axes: dict[str, Any] = Field({}, description="Field: list of values, or pairs of operations")
    zips: list[dict[str, list[Any]]] = Field(
        [], description="Groups of fields whose lists move together"
    )
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    resources: Resources = Resources.model_validate({})
    recovery: Recovery = Recovery.model_validate({})


class Sweep(NamedTuple):
    """A plan: every trial of a sweep, seed by seed, and the untrained encoders it starts from."""

    name: str
    description: str
    operations: tuple[Augmentation, ...]  # of the pairs axis, in its order; empty without one
    trials: tuple[Trial, ...]
    baselines: tuple[Trial, ...]
    resources: Resources
    recovery: Recovery


@paused()
def load_sweep(
    path: Path, *, overrides: Iterable[str] = (), seeds: tuple[int, ...] | None = None
) -> Sweep:
    """Read a sweep file and expand it.

    Args:
        path: The YAML file.
        overrides: `field=value` texts; the value is YAML, a dotted field reaches into a group.
            An override replaces a fixed value or a whole axis. In a zip, one of the first field
            picks the positions with its value, one of another field replaces its list.
        seeds: Replace the file's seeds.

    Raises:
        ConfigError: Everything wrong with the file and the overrides, a line each with file,
            line, path, rule, value and remedy.
    """
    document = _read_yaml(path)
    file, faults = _parse_file(document)
    changes = _parse_overrides(overrides)
    cases, operations, more = _cases(file, changes)
    chosen = tuple(dict.fromkeys(seeds if seeds is not None else file.seeds))
    trials, most = _expand(cases, chosen)
    # A field whose axis is at fault has been told already; it is not missing as well.
    told = {fault.place[1] for fault in more if fault.place[0] in ("axes", "zips")}
    rest = [fault for fault in most if not (fault.place[-1] in told and fault.place[0] == "fixed")]
    if faults or more or rest:
        raise ConfigError(_Lines(path, document).render([*faults, *more, *rest]))
    untrained = (make_trial(trial.config.untrained()) for trial in trials)
    baselines = tuple({trial.id: trial for trial in untrained}.values())
    return Sweep(
        name=_run_name(file.name, overrides),
        description=file.description,
        operations=operations,
        trials=trials,
        baselines=baselines,
        resources=file.resources,
        recovery=file.recovery,
    )


def _parse_file(document: dict[str, Any]) -> tuple[SweepFile, list[Fault]]:
    """The file's structure; where that is at fault, what is left, so that all faults are told."""
    file = parse(SweepFile, document)
    if isinstance(file, SweepFile):
        return file, []
    faults = file
    at_fault = {fault.place[0] for fault in faults}
    sound = {
        name: value
        for name, value in document.items()
        if name in SweepFile.model_fields and name not in at_fault
    }
    rest = parse(SweepFile, {"name": "unnamed", **sound})
    assert isinstance(rest, SweepFile)
    return rest, faults


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({_reason(error)}); check the path") from error
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not valid YAML: {reason}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: is not a mapping; see the sweep files in sweeps/")
    return document


def _reason(error: Exception) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else "not UTF-8 text"


class _Lines:
    """Puts faults at the line of the YAML where they stand."""

    def __init__(self, path: Path, document: Any) -> None:
        self.path = path
        self.document = document

    def render(self, faults: Iterable[Fault]) -> str:
        """One line a fault, in the order of the file."""
        rows = sorted({(self._line(fault.place), *fault) for fault in faults}, key=str)
        rows.sort(key=lambda row: row[0])
        return "\n".join(
            f"--set {place[1]}: {message}"
            if place[:1] == ("--set",)
            else f"{self.path}:{line}: {dotted(place)}: {message}"
            for line, place, message in rows
        )

    def _line(self, place: Place) -> int:
        node, line = self.document, 1
        for part in place:
            position: Any = getattr(node, "lc", None)
            try:
                line = (
                    position.key(part)[0] if isinstance(node, dict) else position.item(part)[0]
                ) + 1
                node = node[part]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return line


def dotted(place: Place) -> str:
    """Path of a place as a reader writes it: `fixed.augment[1]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "file"


def _parse_overrides(overrides: Iterable[str]) -> Settings:
    settings: Settings = {}
    for text in overrides:
        field, equals, value = text.partition("=")
        if not equals or not field.strip():
            raise ConfigError(f"--set {text}: is not field=value; write it so")
        if field.strip() in ("seed", "seeds"):
            raise ConfigError(
                f"--set {field.strip()}: seeds are a list of their own; use --seeds 0,1"
            )
        if field.strip() in settings:
            raise ConfigError(f"--set {field.strip()}: is given twice; give it once")
        try:
            settings[field.strip()] = (
                YAML(typ="safe").load(value),
                ("--set", field.strip()),
            )
        except (YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"--set {text}: the value is not valid YAML") from error
    return settings


def _cases(
    file: SweepFile, overrides: Settings
) -> tuple[list[Settings], tuple[Augmentation, ...], list[Fault]]:
    """Settings of every cell, the operations of the pairs axis, and the faults of the grid."""
    faults: list[Fault] = []
    fixed: Settings = {
        name: (value, ("fixed", *name.split("."))) for name, value in _flatten(file.fixed).items()
    }
    groups: list[list[Settings]] = []
    operations: tuple[Augmentation, ...] = ()
    for name, values in file.axes.items():
        if name in overrides:
            continue
        place: Place = ("axes", name)
        if isinstance(values, dict):
            pairs = parse(Pairs, values)
            if name != "augment":
                faults.append(Fault(place, "only augment takes pairs; give a list of values"))
            elif isinstance(pairs, list):
                faults += [Fault((*place, *fault.place), fault.message) for fault in pairs]
            else:
                operations = tuple(dict.fromkeys(pairs.pairs))
                product = itertools.product(operations, repeat=2)
                groups.append([{name: (pair, (*place, "pairs"))} for pair in product])
        elif values == []:
            faults.append(Fault(place, "is an empty list; give at least one value"))
        elif not isinstance(values, list):
            faults.append(Fault(place, f"{values!r} is not a list of values; write [{values}]"))
        else:
            groups.append([{name: (value, (*place, i))} for i, value in enumerate(values)])
    for number, zipped in enumerate(file.zips):
        group, more = _zip_group(number, zipped, overrides)
        groups += [group] if group else []
        faults += more
    faults += _faults_of_names(file, fixed, groups)
    cases = []
    for parts in itertools.product(*groups):
        settings: Settings = dict(fixed)
        for part in (*parts, overrides):
            settings = _replace(settings, part)
        cases.append(settings)
    # With one number each, the diagonal would not be one operation.
    for settings in cases if operations else ():
        value, at = settings.get("augment_probability", (None, ()))
        if isinstance(value, list):
            faults.append(Fault(at, "a list does not fit pairs; give one number for all"))
    return cases, operations, list(dict.fromkeys(faults))


def _zip_group(
    number: int, zipped: Mapping[str, list[Any]], overrides: Settings
) -> tuple[list[Settings], list[Fault]]:
    """Settings of one zip.

    The first field names the positions: an override of it picks those that have its value. An
    override of another field replaces that field's list.
    """
    lengths = {name: len(values) for name, values in zipped.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        return [], [
            Fault(("zips", number), f"lists of unequal length ({told}); give each the same")
        ]
    kept = [name for name in zipped if name not in overrides]
    if not kept:
        return [], []
    first, values = next(iter(zipped.items()))
    positions = list(range(len(values)))
    if first in overrides:
        value, place = overrides[first]
        positions = [i for i in positions if values[i] == value]
        if not positions:
            others = " and ".join(kept)
            told = f"{value!r} is not among the values that go with {others}; set {others} too"
            return [], [Fault(place, told)]
    return [
        {name: (zipped[name][i], ("zips", number, name, i)) for name in kept} for i in positions
    ], []


def _replace(settings: Settings, part: Mapping[str, tuple[Any, Place]]) -> Settings:
    """Lay new settings over others; a whole group (`features`) replaces its fields."""
    kept = {
        name: value
        for name, value in settings.items()
        if not any(name == new or name.startswith(f"{new}.") for new in part)
    }
    return {**kept, **part}


def _faults_of_names(file: SweepFile, fixed: Settings, groups: list[list[Settings]]) -> list[Fault]:
    """Fields that are set twice, that do not exist, or that a sweep file may not set."""
    faults = []
    seen: dict[str, Place] = {}
    places = [
        *fixed.items(),
        *((name, value) for group in groups for name, value in group[0].items()),
    ]
    for name, (_, place) in places:
        where = place[: 3 if place[0] == "zips" else 2]
        for other in seen:
            if f"{name}.".startswith(f"{other}.") or f"{other}.".startswith(f"{name}."):
                told = f"is set in {dotted(seen[other])} as well; keep one of the two"
                faults.append(Fault(where, told))
        seen[name] = where
        if name == "seed":
            faults.append(Fault(where, "seeds are a list of their own; write seeds: [0, 1]"))
    return faults


def _flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted paths of the values of nested groups."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


# Every sweep evaluates the untrained encoders by itself; among the trials they would be no cell.
_UNTRAINED = [Fault(("epochs",), "0 is not at least 1; untrained encoders are evaluated anyway")]


def _expand(cases: list[Settings], seeds: tuple[int, ...]) -> tuple[tuple[Trial, ...], list[Fault]]:
    """Validate every case; seed by seed, so that a first whole matrix comes early."""
    trials: dict[str, Trial] = {}
    faults: dict[Fault, None] = {}
    for seed in seeds:
        for settings in cases:
            config = parse_config(_nest(settings) | {"seed": seed})
            if isinstance(config, TrialConfig) and config.epochs:
                trial = make_trial(config)
                trials.setdefault(trial.id, trial)
            else:
                found = _UNTRAINED if isinstance(config, TrialConfig) else config
                faults.update(dict.fromkeys(_at_source(fault, settings) for fault in found))
    return tuple(trials.values()), list(faults)


def _nest(settings: Settings) -> dict[str, Any]:
    """Plain data of one trial from dotted settings."""
    data: dict[str, Any] = {}
    for name, (value, _) in settings.items():
        *groups, leaf = name.split(".")
        node = data
        for group in groups:
            if node.get(group) is None:
                node[group] = {}
            node = node[group]
            if not isinstance(node, dict):
                break  # told as a fault of the group
        else:
            node[leaf] = value
    return data


def _at_source(fault: Fault, settings: Settings) -> Fault:
    """Move a fault from the trial's field to the place in the file that set it."""
    for depth in range(len(fault.place), 0, -1):
        name = ".".join(str(part) for part in fault.place[:depth])
        if name in settings:
            place = settings[name][1]
            rest = fault.place[depth:]
            if place[0] == "axes" and place[-1] == "pairs":
                rest = ()
            if place[0] == "--set":
                return Fault(("--set", dotted((name, *rest))), fault.message)
            return Fault((*place, *rest), fault.message)
    return Fault(("fixed", *fault.place), fault.message)


def _run_name(name: str, overrides: Iterable[str]) -> str:
    """Name of the run folder: an override makes another experiment, so another folder."""
    changes = [re.sub(r"[^A-Za-z0-9._=-]+", "-", text).strip("-") for text in sorted(overrides)]
    whole = "_".join([name, *changes])
    if len(whole) <= _LONGEST_NAME:
        return whole
    # Cut where a file system would refuse it; the hash keeps two long names apart.
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: _LONGEST_NAME - len(digest) - 1]}_{digest}"


def plan_to_json(sweep: Sweep) -> dict[str, Any]:
    """Plain data of a plan, as `plan.json` of a run folder keeps it."""
    return {
        "format": 1,
        "name": sweep.name,
        "description": sweep.description,
        "operations": list(sweep.operations),
        "trials": [trial.config.model_dump(mode="json") for trial in sweep.trials],
        "baselines": [trial.config.model_dump(mode="json") for trial in sweep.baselines],
        "resources": sweep.resources.model_dump(mode="json"),
        "recovery": sweep.recovery.model_dump(mode="json"),
    }


@paused()
def plan_from_json(data: dict[str, Any], place: Path) -> Sweep:
    """Rebuild a plan.

    Raises:
        RecordError: A config in it is not valid for this version.
    """

    def trials(configs: list[dict[str, Any]]) -> tuple[Trial, ...]:
        parsed = [parse_config(config) for config in configs]
        for config in parsed:
            if isinstance(config, list):
                first = config[0]
                raise RecordError(f"{place}: {dotted(first.place)}: {first.message}")
        return tuple(make_trial(config) for config in parsed if isinstance(config, TrialConfig))

    try:
        return Sweep(
            name=one_line(str(data["name"])),
            description=one_line(str(data["description"])),
            operations=_operations(data["operations"]),
            trials=trials(data["trials"]),
            baselines=trials(data["baselines"]),
            resources=Resources.model_validate(data["resources"]),
            # Plans of version 0.1 had none.
            recovery=Recovery.model_validate(data.get("recovery", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{place}: is not a plan of this version; run the sweep again") from error


def _operations(names: list[str]) -> tuple[Augmentation, ...]:
    return Pairs.model_validate({"pairs": tuple(names)}).pairs if names else ()


def json_schema() -> dict[str, Any]:
    """JSON schema of the sweep file, so that editors complete and check it."""
    schema = SweepFile.model_json_schema()
    trial = TrialConfig.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    definitions.update(trial.pop("$defs", {}))
    definitions["Pairs"] = Pairs.model_json_schema()
    fields = {name: field for name, field in trial["properties"].items() if name != "seed"}
    for name, field in definitions["FeatureConfig"]["properties"].items():
        fields[f"features.{name}"] = field
    lists = {
        name: {"type": "array", "minItems": 1, "items": field} for name, field in fields.items()
    }
    axes = {**lists, "augment": {"anyOf": [lists["augment"], {"$ref": "#/$defs/Pairs"}]}}
    properties = schema["properties"]
    for name, entries in (("fixed", fields), ("axes", axes)):
        properties[name].update(properties=entries, additionalProperties=False)
    properties["zips"]["items"] = {
        "type": "object",
        "properties": lists,
        "additionalProperties": False,
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
