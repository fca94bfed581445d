"""What a run does otherwise than the paper: the list beside every published number.

The defaults of a trial's config are the paper's, so the expected value of a field is what a config
that names only its place in the table resolves to.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from analysis.clips import Clips, shortfalls
from analysis.frames import Study, dataset_label
from analysis.published import (
    PAPER_DATASETS,
    PaperDataset,
    paper_dataset,
    rows_of_table_1,
)
from clar_sweeps.config import EXECUTION_ONLY, TrialConfig

# The dataset has a column, these have a row or a panel: their places are compared apart.
_OF_THE_PLACE = {
    "dataset",
    "condition",
    "folder",
    "encoder",
    "augment",
    "method",
    "label_fraction",
    "supervised_budget",
    "seed",
}
# Cannot be told from the paper: the arithmetic of its graphics cards.
_NOT_COMPARED = {"precision"}
# Of Figure 5 alone: how often is evaluated changes no final number.
_OF_CURVES = {"eval_every"}
_WORDS = {
    "batch_size": "batch",
    "eval_every": "evaluation every (epochs)",
    "features.window_length": "window of the picture (samples)",
    "features.hop_length": "hop of the picture (samples)",
    "features.num_bands": "bands of the picture",
    "features.n_fft": "FFT of the picture (samples)",
    "features.definition": "definition of the picture",
    "augment_probability": "chance of an operation",
    "augment_definition": "definition of the operations",
    "augment_backend": "library of the operations",
    "label_subset": "subset of labels",
    "unlabelled": "unlabelled clips",
    "clar_head": "CLAR head",
    "evaluate_on": "held-out clips",
    "warmup_epochs": "warm-up epochs",
    "stem": "definition of the 1-D stem",
    "schedule": "definition of the schedule",
}
# Operations of Figure 4; which noise it is, the paper does not say.
_OPERATIONS = ("PS", "FD", "WN", "TM", "TS", "TST")
_SC10 = PaperDataset("SC-10", is_same=True)
# Of the differences, the weightiest first; the others follow in the order of the config.
_FIRST = ("epochs", "batch_size", "width", "features", "optimizer", "learning_rate")
# Section 3.2: 512 for some datasets of section 5; which, it does not say.
_ALLOWED: Mapping[Study, Mapping[str, set[str]]] = {"inputs": {"batch_size": {"512"}}}
# Differences that stand below a headline.
_NUM_IN_SHORT = 3


class Difference(NamedTuple):
    """One field in which a run is not the paper."""

    field: str
    words: str
    ours: tuple[str, ...]
    paper: str
    in_part: bool  # some of the trials have the paper's value

    def __str__(self) -> str:
        """Say it as `epochs 2 instead of 1000`."""
        ours = " or ".join(self.ours) + (" in part" if self.in_part else "")
        return f"{self.words} {ours} instead of {self.paper}"


class Protocol(NamedTuple):
    """How near a run is to what the paper did."""

    differences: tuple[Difference, ...]
    num_seeds: int  # the most that a mean is over

    @property
    def is_papers(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __str__(self) -> str:
        """One line, to stand above a table."""
        if self.is_papers:
            return f"Protocol as in the paper{self._seeds}."
        told = ", ".join(str(difference) for difference in self.differences)
        return f"Not a reproduction: {told}{self._seeds}."

    @property
    def short(self) -> str:
        """One line, to stand below a headline: the weightiest differences, and how many more."""
        if self.is_papers:
            return str(self)
        return f"Not the paper's protocol: {self.weightiest}."

    @property
    def weightiest(self) -> str:
        """The weightiest differences, and how many more; empty without any."""
        told = [str(difference) for difference in self.differences[:_NUM_IN_SHORT]]
        more = len(self.differences) - len(told)
        return f"{', '.join(told)}{f', and {more} more' if more else ''}"

    @property
    def _seeds(self) -> str:
        return f"; {self.num_seeds} seeds where the paper has one run" if self.num_seeds > 1 else ""


def compare(
    configs: Sequence[TrialConfig],
    *,
    study: Study,
    clips: Mapping[str, Sequence[Clips]] | None = None,
    places: Iterable[Difference] = (),
    num_seeds: int = 1,
) -> Protocol:
    """Compare the trials of a table or matrix with the paper's protocol.

    Args:
        configs: Of the trials that are shown; at least one.
        study: pairs, inputs or labels.
        clips: Of the same trials, by dataset.
        places: Differences of what the table's rows and columns are.
        num_seeds: The most that a mean is over.
    """
    configs = list(dict.fromkeys(config.cell() for config in configs))
    found: dict[str, list[tuple[str, str]]] = {}
    for config in configs:
        expected = _fields(_papers(config))
        for name, value in _fields(config).items():
            paper = expected.get(name)
            if value is not None and paper is not None:
                found.setdefault(name, []).append((plain_text(value), plain_text(paper)))
    fields = [_difference(name, found[name], study) for name in sorted(found, key=_rank)]
    return Protocol(
        differences=(
            *_profile(configs),
            *_datasets(configs, study),
            *_clips(clips or {}),
            *_methods(configs, study),
            *places,
            *(difference for difference in fields if difference is not None),
        ),
        num_seeds=num_seeds,
    )


def _rank(name: str) -> int:
    group = name.partition(".")[0]
    return _FIRST.index(group) if group in _FIRST else len(_FIRST)


def _papers(config: TrialConfig) -> TrialConfig:
    """What the paper did in the place of a trial."""
    kept = _OF_THE_PLACE - {"condition", "seed"}
    return TrialConfig.model_validate({name: getattr(config, name) for name in kept})


def _fields(config: TrialConfig) -> dict[str, Any]:
    fields = fields_of(config)
    return {name: value for name, value in fields.items() if name not in _NOT_COMPARED}


def fields_of(config: TrialConfig) -> dict[str, Any]:
    """Plain values of the fields that can change a result, but for the trial's place in a table."""
    left_out = _OF_THE_PLACE | {
        name
        for name, field in TrialConfig.model_fields.items()
        if field.json_schema_extra == EXECUTION_ONLY
    }
    fields = config.model_dump(mode="json", exclude=left_out)
    chances = fields["augment_probability"]
    fields["augment_probability"] = chances[0] if len(set(chances)) == 1 else chances
    features = fields.pop("features") or {}
    return fields | {f"features.{name}": value for name, value in features.items()}


def _difference(name: str, values: Sequence[tuple[str, str]], study: Study) -> Difference | None:
    if name in _OF_CURVES and study != "labels":
        return None
    allowed = _ALLOWED.get(study, {}).get(name, set())
    unlike = dict.fromkeys(ours for ours, paper in values if ours != paper and ours not in allowed)
    if not unlike:
        return None
    papers = dict.fromkeys(paper for _, paper in values)
    in_part = any(ours == paper or ours in allowed for ours, paper in values)
    return Difference(name, words_of(name), tuple(unlike), " or ".join(papers), in_part)


def words_of(name: str) -> str:
    """A field of a config as a reader knows it."""
    return _WORDS.get(name, name.replace("_", " "))


def plain_text(value: Any) -> str:
    """A value of a field as text."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _profile(configs: Sequence[TrialConfig]) -> list[Difference]:
    names = [(config.profile, "paper") for config in configs]
    found = _difference("profile", names, "pairs")
    return [found] if found else []


def _methods(configs: Sequence[TrialConfig], study: Study) -> list[Difference]:
    """Methods of a study that the paper made with SimCLR alone."""
    names = [(config.method, "simclr") for config in configs if study != "labels"]
    found = _difference("method", names, study)
    return [found] if found else []


def _datasets(configs: Sequence[TrialConfig], study: Study) -> list[Difference]:
    """Datasets beside whose numbers those of another one of the paper stand."""
    others: dict[str, dict[str, None]] = {}
    for config in configs:
        # Figure 4, Table 2 and Figure 5 are of one dataset, Table 1 has a column each.
        paper = paper_dataset(config.dataset) if study == "inputs" else _SC10
        name = paper.name if paper is not None else "one of the paper's six"
        if paper is None or PAPER_DATASETS.get(config.dataset) != paper.name:
            label = dataset_label(config.dataset, config.condition, config.folder)
            others.setdefault(name, {})[label] = None
    return [
        Difference("dataset", "dataset", tuple(labels), name, in_part=False)
        for name, labels in others.items()
    ]


def _clips(clips: Mapping[str, Sequence[Clips]]) -> list[Difference]:
    """Datasets of the paper of which a part was used."""
    return [
        Difference(
            field="clips",
            words=f"{short.split} clips" + (f" of {dataset}" if len(clips) > 1 else ""),
            ours=tuple(f"{count:,}" for count in short.ours),
            paper=f"{short.official:,}",
            in_part=short.in_part,
        )
        for dataset, found in clips.items()
        for short in shortfalls(dataset, found)
    ]


def place_differences(encoder: str, chain: Sequence[str]) -> list[Difference]:
    """How the encoder and chain of a label table differ from those of section 6."""
    found = []
    if encoder != "resnet18_2d":
        found.append(Difference("encoder", "encoder", ("1-D",), "2-D", in_part=False))
    if tuple(chain) != ("FD", "TM"):
        ours = " → ".join(chain)
        found.append(Difference("augment", "operations", (ours,), "FD → TM", in_part=False))
    return found


def operation_differences(operations: Sequence[str]) -> list[Difference]:
    """How the operations of a matrix differ from those of Figure 4."""
    named = {"WN" if operation == "MN" else operation for operation in operations}
    if named == set(_OPERATIONS) and len(operations) == len(_OPERATIONS):
        return []
    ours, paper = " ".join(operations), " ".join(_OPERATIONS)
    return [Difference("augment", "operations", (ours,), paper, in_part=False)]


def row_differences(rows: Collection[tuple[str, tuple[str, ...]]]) -> list[Difference]:
    """How the encoders and chains of a column differ from those of Table 1."""
    papers = rows_of_table_1()
    shared = len(set(rows) & set(papers))
    if shared == len(rows) == len(papers):
        return []
    others = f" and {len(rows) - shared} more" if len(rows) > shared else ""
    ours, paper = f"{shared} of the paper's{others}", f"the {len(papers)} of Table 1"
    return [Difference("rows", "rows", (ours,), paper, in_part=False)]


def share_differences(most: float, fewest: float) -> list[Difference]:
    """How the ends of a study of labels differ from those of section 6."""
    if (most, fewest) == (1.0, 0.01):
        return []
    ours = f"{100 * most:g}% to {100 * fewest:g}%"
    return [Difference("label_fraction", "labels", (ours,), "100% to 1%", in_part=False)]
