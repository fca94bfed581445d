"""The config of one trial: frozen, strict, brought to a normal form, identified by a hash.

Defaults are the paper's (CLAR, arXiv:2010.09542, section 3.2). The identity of a trial is a
hash of its whole resolved config, so that a default that changes later changes no old record.
"""

import functools
import hashlib
import json
import math
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from clar_sweeps.faults import Fault, Frozen, house_rule, parse
from clar_sweeps.profiles import released_defaults

# Raised when the meaning of a field changes, so that old records are not taken for new ones.
SEMANTICS = 2

# Hz of all prepared datasets (paper, section 3.1).
SAMPLE_RATE = 16000

Augmentation = Literal["PS", "FD", "WN", "MN", "TM", "TS", "TST", "TSR"]
AugmentBackend = Literal["torch", "audiomentations"]
ClarHead = Literal["three_layers", "four_layers"]
Condition = Literal["clean", "field", "medium", "hard"]
Dataset = Literal[
    "spoken-digits",
    "instrument-notes",
    "fsdd",
    "sc10",
    "sc35",
    "nsynth11",
    "nsynth128",
    "esc10",
    "esc50",
    "folder",
]
# Of a part that the paper's text and the authors' code do differently.
Definition = Literal["paper", "released"]
Device = Literal["auto", "cpu", "cuda"]
Encoder = Literal["resnet18_1d", "resnet18_2d"]
HeldOutClips = Literal["clean", "augmented"]
LabelSubset = Literal["plain", "stratified"]
Method = Literal["supervised", "simclr", "clar"]
Optimizer = Literal["lars", "adamw", "lars_adam"]
Precision = Literal["auto", "float32", "bfloat16"]
Profile = Literal["paper", "released"]
Recompute = Literal["auto", "always", "never"]
SupervisedBudget = Literal["epochs", "steps"]
Unlabelled = Literal["keep", "drop"]

# Operations that the two definitions do alike.
_UNDISPUTED: set[Augmentation] = {"WN", "MN", "TSR"}

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]

# Names of folders that we make: letters, digits, dot, underscore, hyphen.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

# Marks a field that cannot change a result: it stays out of the identity.
EXECUTION_ONLY: JsonDict = {"execution_only": True}


class FeatureConfig(Frozen):
    """Time-frequency picture of the 2-D encoder (paper, section 3.1)."""

    definition: Definition = Field(
        "paper",
        description="paper: linear bins, Slaney's mel, dB; released: the authors' log-spaced bins "
        "from 40 Hz, their filters and offsets",
    )
    num_bands: Count = Field(
        128, description="Bins of magnitude and phase, and mel bands: rows of the picture"
    )
    window_length: Count = Field(256, description="Samples; 256 is the paper's 16 ms at 16 kHz")
    hop_length: Count = Field(128, description="Samples; 128 is the paper's 8 ms at 16 kHz")
    n_fft: Count = Field(2048, description="Each window is zero-padded to this many samples")

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.definition == "paper" and self.n_fft % (2 * self.num_bands):
            raise house_rule(
                ("n_fft",),
                f"{self.n_fft} is not a multiple of 2 * num_bands = {2 * self.num_bands}; "
                f"use {2 * self.num_bands * max(1, round(self.n_fft / (2 * self.num_bands)))}",
            )
        if num_empty := _num_empty_mel_bands(
            self.definition, num_bands=self.num_bands, n_fft=self.n_fft
        ):
            raise house_rule(
                ("n_fft",),
                f"{self.n_fft} leaves {num_empty} of {self.num_bands} mel filters without a "
                "frequency bin; raise n_fft or lower num_bands",
            )
        if self.window_length > self.n_fft:
            raise house_rule(
                ("window_length",),
                f"{self.window_length} is more than n_fft = {self.n_fft}; lower it or raise n_fft",
            )
        return self


# A plan of thousands of trials has few pictures, and each trial is validated several times.
@functools.lru_cache(maxsize=256)
def _num_empty_mel_bands(definition: Definition, *, num_bands: int, n_fft: int) -> int:
    """Mel bands between whose ends no bin of the FFT lies; on Slaney's scale, to Nyquist."""
    linear_step, log_from, log_step = 200 / 3, 1000.0, math.log(6.4) / 27

    def mel(hz: float) -> float:
        above = math.log(hz / log_from) / log_step if hz >= log_from else 0.0
        return log_from / linear_step + above if above else hz / linear_step

    def hz(mel: float) -> float:
        above = mel - log_from / linear_step
        return log_from * math.exp(above * log_step) if above >= 0 else mel * linear_step

    bottom = mel(40.0 if definition == "released" else 0.0)
    step = (mel(SAMPLE_RATE / 2) - bottom) / (num_bands + 1)
    ends = [hz(bottom + step * i) * n_fft / SAMPLE_RATE for i in range(num_bands + 2)]
    pairs = zip(ends, ends[2:], strict=False)
    return sum(math.floor(low) + 1 >= high for low, high in pairs)


class ClipsOf(NamedTuple):
    """What names the prepared clips of a trial: the first arguments of `data.load` and its kin."""

    name: str
    condition: str | None = None
    folder: str | None = None

    @property
    def title(self) -> str:
        """As a user reads it."""
        return " ".join(part for part in self if part)


class TrialConfig(Frozen):
    """Everything that decides the result of one training run, and its seed."""

    profile: Profile = Field(
        "paper",
        description="Whose defaults the fields that are not given take: the paper's text or the "
        "authors' code",
        json_schema_extra=EXECUTION_ONLY,  # resolved into the fields, by which a trial is known
    )
    dataset: Dataset = Field("spoken-digits", description="Name of a prepared dataset")
    condition: Condition | None = Field(
        None, description="Recording condition of spoken-digits; medium when not given"
    )
    folder: Annotated[str, Field(pattern=NAME_PATTERN)] | None = Field(
        None, description="Name of your own recordings, with dataset folder only"
    )
    method: Method = Field(
        "simclr",
        description="simclr: NT-Xent; supervised: cross entropy; clar: the sum of both",
    )
    label_fraction: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Share of the training clips whose label training sees; all if not given"
    )
    label_subset: LabelSubset | None = Field(
        None,
        description="plain: drawn from all clips (the paper's); stratified: from each class alike",
    )
    unlabelled: Unlabelled | None = Field(
        None, description="keep: in the contrastive term (the paper's); drop: out of training"
    )
    supervised_budget: SupervisedBudget | None = Field(
        None,
        description="On few labels; epochs: over the labelled clips (the paper's); steps: as many "
        "steps an epoch as with all labels",
    )
    cross_entropy_weight: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Of each view's cross entropy in clar; 1 if not given"
    )
    clar_head: ClarHead | None = Field(
        None, description="Layers of clar's head, the classifier among them"
    )
    negative_shards: Count | None = Field(
        None,
        description="Parts of a batch that see no negatives of one another; the authors' GPUs are "
        "4, the paper's batch is 1",
    )
    augment: tuple[Augmentation, ...] = Field(
        description="Operations of both views, applied in this order"
    )
    augment_probability: Probability | tuple[Probability, ...] = Field(
        1.0, description="Chance that an operation acts on an example: one number, or one each"
    )
    augment_definition: Definition = Field(
        "paper", description="Parameters of PS, FD, TM, TS, TST: the paper's or the authors' code's"
    )
    augment_backend: AugmentBackend = Field(
        "torch", description="torch: batched on the device; audiomentations: per clip on the CPU"
    )
    encoder: Encoder = Field("resnet18_2d", description="1d reads waveforms, 2d spectrograms")
    width: Count = Field(64, description="Channels of the encoder's first stage")
    features: FeatureConfig | None = Field(None, description="Picture of the 2-D encoder")
    stem: Definition | None = Field(
        None, description="Of the 1-D encoder: kernel of 49 (paper) or 7 (released)"
    )
    batch_size: Annotated[int, Field(ge=2)] = Field(1024, description="Clips a step")
    epochs: Annotated[int, Field(ge=0)] = Field(
        1000, description="0 evaluates the untrained encoder"
    )
    optimizer: Optimizer = Field(
        "lars",
        description="lars: SGD scaled by layer; adamw: for batches far below 1024; lars_adam: the "
        "authors' code",
    )
    learning_rate: Annotated[float, Field(gt=0)] = Field(1.0, description="Peak of the schedule")
    weight_decay: Annotated[float, Field(ge=0)] = Field(1e-4)
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(
        10.0, description="Linear rise of the learning rate before its cosine"
    )
    schedule: Definition = Field(
        "paper", description="Of the learning rate; released: the authors' count of steps"
    )
    temperature: Annotated[float, Field(gt=0)] = Field(0.5, description="Of NT-Xent")
    precision: Precision = Field(
        "auto", description="Of the encoder's arithmetic; auto: bfloat16 where the device gains"
    )
    eval_every: Count = Field(10, description="Epochs between evaluations; the last is always one")
    evaluate_on: HeldOutClips = Field(
        "clean", description="Held-out clips that are judged; augmented is the authors' code"
    )
    seed: Seed = Field(0, description="Decides initial weights and all draws")
    device: Device = Field("auto", json_schema_extra=EXECUTION_ONLY)
    checkpoint_every: Count = Field(
        1, description="Epochs between checkpoints", json_schema_extra=EXECUTION_ONLY
    )
    recompute: Recompute = Field(
        "auto",
        description="Of activations in the backward pass; auto: where memory is short",
        json_schema_extra=EXECUTION_ONLY,
    )

    @model_validator(mode="after")
    def _check_and_normalise(self) -> Self:
        """Fill in the profile, refuse what cannot run, bring equal trials to one form."""
        if self.profile == "released":
            self._take_released_defaults()
        if self.dataset == "folder" and self.folder is None:
            raise house_rule(
                ("folder",), "is required with dataset folder; name your recordings' folder"
            )
        if self.epochs == 0:
            self._without_training()
            return self
        if not self.augment:
            raise house_rule(("augment",), "the chain is empty; name at least one operation")
        if self.warmup_epochs > self.epochs:
            raise house_rule(
                ("warmup_epochs",),
                f"{self.warmup_epochs:g} is more than epochs = {self.epochs}; lower it",
            )
        for name in ("weight_decay", "warmup_epochs", "cross_entropy_weight"):
            if getattr(self, name) is not None:
                self._set(name, getattr(self, name) + 0.0)  # -0.0 is 0.0 and would hash as another
        self._set("augment_probability", self._probability_each())
        self._collapse_pair()
        self._drop_what_does_not_apply()
        self._check_shards()
        return self

    def _take_released_defaults(self) -> None:
        defaults = released_defaults(self.dataset, self.method)
        for name, value in defaults.items():
            if name not in self.model_fields_set:
                self._set(name, value)
        given = self.features.model_dump(exclude_unset=True) if self.features else {}
        self._set("features", FeatureConfig.model_validate(_released_picture(given)))

    def _check_shards(self) -> None:
        if self.negative_shards is not None and self.batch_size < 2 * self.negative_shards:
            raise house_rule(
                ("negative_shards",),
                f"{self.negative_shards} parts of a batch of {self.batch_size} leave no two clips "
                f"each; give at most {self.batch_size // 2}",
            )

    def _probability_each(self) -> tuple[float, ...]:
        given = self.augment_probability
        if not isinstance(given, tuple):
            return (given + 0.0,) * len(self.augment)
        if len(given) != len(self.augment):
            raise house_rule(
                ("augment_probability",),
                f"{len(given)} numbers for {len(self.augment)} operations; give one each",
            )
        return tuple(chance + 0.0 for chance in given)

    def _collapse_pair(self) -> None:
        """The pair (FD, FD) is the chain (FD): the diagonal of Figure 4 is one operation."""
        assert isinstance(self.augment_probability, tuple)
        links = list(zip(self.augment, self.augment_probability, strict=True))
        if len(links) == 2 and links[0] == links[1]:
            self._set("augment", self.augment[:1])
            self._set("augment_probability", self.augment_probability[:1])

    def _drop_what_does_not_apply(self) -> None:
        trains = self.epochs > 0
        with_labels = trains and self.method != "simclr"
        is_clar = trains and self.method == "clar"
        self._keep("condition", "medium", when=self.dataset == "spoken-digits")
        self._keep("folder", None, when=self.dataset == "folder")
        self._keep("features", FeatureConfig(), when=self.encoder == "resnet18_2d")
        self._keep("stem", "paper", when=self.encoder == "resnet18_1d")
        self._keep("label_fraction", 1.0, when=with_labels)
        few = self.label_fraction is not None and self.label_fraction < 1
        self._keep("label_subset", "plain", when=few)
        self._keep("unlabelled", "keep", when=few and is_clar)
        self._keep("supervised_budget", "epochs", when=few and self.method == "supervised")
        self._keep("cross_entropy_weight", 1.0, when=is_clar)
        self._keep("clar_head", "three_layers", when=is_clar)
        self._keep("negative_shards", 1, when=trains and self.method != "supervised")
        if self.method == "supervised":
            self._reset("temperature")
        if _UNDISPUTED.issuperset(self.augment):
            self._reset("augment_definition")
        # An evaluation later than the last epoch is the one at the last epoch.
        self._set("eval_every", min(self.eval_every, max(1, self.epochs)))

    def _without_training(self) -> None:
        """Reset what only training reads: one untrained encoder serves all chains and methods."""
        self._reset(
            "method",
            "augment_definition",
            "augment_backend",
            "batch_size",
            "optimizer",
            "learning_rate",
            "weight_decay",
            "warmup_epochs",
            "schedule",
            "temperature",
            "eval_every",
            "evaluate_on",
        )
        self._set("augment", ())
        self._set("augment_probability", ())
        self._drop_what_does_not_apply()

    def _keep(self, name: str, default: object, *, when: bool) -> None:
        """Leave a field that applies, with its default if it is not given; clear another."""
        value = getattr(self, name)
        self._set(name, (default if value is None else value) if when else None)

    def _reset(self, *names: str) -> None:
        for name in names:
            self._set(name, type(self).model_fields[name].default)

    def _set(self, name: str, value: object) -> None:
        # Frozen models take no assignment; normalising during validation is the one exception.
        self.__dict__[name] = value

    @property
    def clips(self) -> ClipsOf:
        """Which clips it trains and is judged on."""
        return ClipsOf(self.dataset, self.condition, self.folder)

    def untrained(self) -> "TrialConfig":
        """Config of the untrained encoder that this trial starts from (same seed)."""
        return TrialConfig.model_validate({**dict(self), "epochs": 0})

    def cell(self) -> "TrialConfig":
        """This config at seed 0: equal for all trials that differ only in the seed."""
        # Without validation, which a plan of thousands would pay for: no rule reads the seed.
        return self.model_copy(update={"seed": 0})


_EXECUTION_ONLY = {
    name
    for name, field in TrialConfig.model_fields.items()
    if field.json_schema_extra == EXECUTION_ONLY
}


class Trial(NamedTuple):
    """One training run: its config, the hash that identifies it, and a name to read."""

    id: str
    name: str
    config: TrialConfig

    @property
    def folder(self) -> str:
        """Name of its folder: what it is for a reader, then its id."""
        return f"{self.name}_{self.id}"


def make_trial(config: TrialConfig) -> Trial:
    """Identify and name the trial of a config."""
    return Trial(id=identity(config), name=readable_name(config), config=config)


def identity(config: TrialConfig) -> str:
    """Hash of the whole resolved config: 12 hex digits of sha256 over canonical JSON."""
    content = {
        "semantics": SEMANTICS,
        "config": config.model_dump(mode="json", exclude=_EXECUTION_ONLY),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def readable_name(config: TrialConfig) -> str:
    """What a person tells trials apart by, such as `clar-10pct_FD-TM_2d_sc10_s0`."""
    parts = [
        _method_name(config),
        "-".join(config.augment) or "untrained",
        config.encoder[-2:],
        config.folder or config.dataset,
        f"s{config.seed}",
    ]
    return "_".join(part for part in parts if part)


def _method_name(config: TrialConfig) -> str:
    """Nothing for simclr, which is the method of all pair matrices."""
    if config.method == "simclr":
        return ""
    share = f"{100 * (config.label_fraction or 1):.6g}pct"
    return "-".join(
        [config.method, share, *(["steps"] if config.supervised_budget == "steps" else [])]
    )


def parse_config(data: Any) -> TrialConfig | list[Fault]:
    """Validate plain data, as read from YAML or JSON; give all faults instead of the first."""
    features = data.get("features") if isinstance(data, dict) else None
    if isinstance(features, dict) and data.get("profile") == "released":
        # Before validation: the sizes of a picture are judged by its definition.
        data = {**data, "features": _released_picture(features)}
    return parse(TrialConfig, data)


def _released_picture(given: dict[str, Any]) -> dict[str, Any]:
    """Fields of the picture with those of the authors' code; the window fills the transform."""
    n_fft = given.get("n_fft", FeatureConfig.model_fields["n_fft"].default)
    return {"definition": "released", "window_length": n_fft, **given}
