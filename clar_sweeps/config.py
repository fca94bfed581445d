"""The config of one trial: frozen, strict, brought to a normal form, identified by a hash.

Defaults are the paper's (CLAR, arXiv:2010.09542, section 3.2). The identity of a trial is a
hash of its whole resolved config, so that a default that changes later changes no old record.
"""

import hashlib
import json
import math
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from clar_sweeps.faults import Fault, Frozen, house_rule, parse

# Raised when the meaning of a field changes, so that old records are not taken for new ones.
SEMANTICS = 1

# Hz of all prepared datasets (paper, section 3.1).
SAMPLE_RATE = 16000

Augmentation = Literal["PS", "FD", "WN", "MN", "TM", "TS", "TST"]
AugmentBackend = Literal["torch", "audiomentations"]
Condition = Literal["clean", "field", "medium", "hard"]
Dataset = Literal["spoken-digits", "fsdd"]
Device = Literal["auto", "cpu", "cuda"]
Encoder = Literal["resnet18_1d", "resnet18_2d"]
Optimizer = Literal["lars", "adamw"]
Precision = Literal["auto", "float32", "bfloat16"]


Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]

# Marks a field that cannot change a result: it stays out of the identity.
EXECUTION_ONLY: JsonDict = {"execution_only": True}


class FeatureConfig(Frozen):
    """Time-frequency picture of the 2-D encoder (paper, section 3.1)."""

    num_bands: Count = Field(
        128, description="Linear bins of magnitude and phase, and mel bands: rows of the picture"
    )
    window_length: Count = Field(256, description="Samples; 256 is the paper's 16 ms at 16 kHz")
    hop_length: Count = Field(128, description="Samples; 128 is the paper's 8 ms at 16 kHz")
    n_fft: Count = Field(2048, description="Each window is zero-padded to this many samples")

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.n_fft % (2 * self.num_bands):
            raise house_rule(
                ("n_fft",),
                f"{self.n_fft} is not a multiple of 2 * num_bands = {2 * self.num_bands}; "
                f"use {2 * self.num_bands * max(1, round(self.n_fft / (2 * self.num_bands)))}",
            )
        if num_empty := _num_empty_mel_bands(self.num_bands, self.n_fft):
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


def _num_empty_mel_bands(num_bands: int, n_fft: int) -> int:
    """Mel bands between whose ends no bin of the FFT lies; on Slaney's scale, 0 Hz to Nyquist."""
    linear_step, log_from, log_step = 200 / 3, 1000.0, math.log(6.4) / 27

    def hz(mel: float) -> float:
        above = mel - log_from / linear_step
        return log_from * math.exp(above * log_step) if above >= 0 else mel * linear_step

    nyquist = SAMPLE_RATE / 2
    top = log_from / linear_step + math.log(nyquist / log_from) / log_step
    ends = [hz(top * i / (num_bands + 1)) * n_fft / SAMPLE_RATE for i in range(num_bands + 2)]
    pairs = zip(ends, ends[2:], strict=False)
    return sum(math.floor(low) + 1 >= high for low, high in pairs)


class TrialConfig(Frozen):
    """Everything that decides the result of one training run, and its seed."""

    dataset: Dataset = Field("spoken-digits", description="Name of a prepared dataset")
    condition: Condition | None = Field(
        None, description="Recording condition of spoken-digits; medium when not given"
    )
    augment: tuple[Augmentation, ...] = Field(
        description="Operations of both views, applied in this order"
    )
    augment_probability: Probability | tuple[Probability, ...] = Field(
        1.0, description="Chance that an operation acts on an example: one number, or one each"
    )
    augment_backend: AugmentBackend = Field(
        "torch", description="torch: batched on the device; audiomentations: per clip on the CPU"
    )
    encoder: Encoder = Field("resnet18_2d", description="1d reads waveforms, 2d spectrograms")
    width: Count = Field(64, description="Channels of the encoder's first stage")
    features: FeatureConfig | None = Field(None, description="Picture of the 2-D encoder")
    batch_size: Annotated[int, Field(ge=2)] = Field(1024, description="Clips a step")
    epochs: Annotated[int, Field(ge=0)] = Field(
        1000, description="0 evaluates the untrained encoder"
    )
    optimizer: Optimizer = Field("lars", description="adamw suits batches far below 1024")
    learning_rate: Annotated[float, Field(gt=0)] = Field(1.0, description="Peak of the schedule")
    weight_decay: Annotated[float, Field(ge=0)] = Field(1e-4)
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(
        10.0, description="Linear rise of the learning rate before its cosine"
    )
    temperature: Annotated[float, Field(gt=0)] = Field(0.5, description="Of NT-Xent")
    precision: Precision = Field(
        "auto", description="Of the encoder's arithmetic; auto: bfloat16 where the device gains"
    )
    eval_every: Count = Field(10, description="Epochs between evaluations; the last is always one")
    seed: Seed = Field(0, description="Decides initial weights and all draws")
    device: Device = Field("auto", json_schema_extra=EXECUTION_ONLY)
    checkpoint_every: Count = Field(
        1, description="Epochs between checkpoints", json_schema_extra=EXECUTION_ONLY
    )

    @model_validator(mode="after")
    def _check_and_normalise(self) -> Self:
        """Refuse what cannot run; bring equal trials to one form."""
        if self.epochs == 0:
            return self._without_training()
        if not self.augment:
            raise house_rule(("augment",), "the chain is empty; name at least one operation")
        if self.warmup_epochs > self.epochs:
            raise house_rule(
                ("warmup_epochs",),
                f"{self.warmup_epochs:g} is more than epochs = {self.epochs}; lower it",
            )
        for name in ("weight_decay", "warmup_epochs"):
            self._set(name, getattr(self, name) + 0.0)  # -0.0 is 0.0 and would hash as another
        self._set("augment_probability", self._probability_each())
        self._collapse_pair()
        self._drop_what_does_not_apply()
        return self

    def _probability_each(self) -> tuple[float, ...]:
        given = self.augment_probability
        if not isinstance(given, tuple):
            return (float(given),) * len(self.augment)
        if len(given) != len(self.augment):
            raise house_rule(
                ("augment_probability",),
                f"{len(given)} numbers for {len(self.augment)} operations; give one each",
            )
        return given

    def _collapse_pair(self) -> None:
        """The pair (FD, FD) is the chain (FD): the diagonal of Figure 4 is one operation."""
        assert isinstance(self.augment_probability, tuple)
        links = list(zip(self.augment, self.augment_probability, strict=True))
        if len(links) == 2 and links[0] == links[1]:
            self._set("augment", self.augment[:1])
            self._set("augment_probability", self.augment_probability[:1])

    def _drop_what_does_not_apply(self) -> None:
        condition = (self.condition or "medium") if self.dataset == "spoken-digits" else None
        self._set("condition", condition)
        uses_features = self.encoder == "resnet18_2d"
        self._set("features", (self.features or FeatureConfig()) if uses_features else None)
        # An evaluation later than the last epoch is the one at the last epoch.
        self._set("eval_every", min(self.eval_every, max(1, self.epochs)))

    def _without_training(self) -> Self:
        """Reset what only training reads: one untrained encoder serves all chains."""
        for name in (
            "augment_backend",
            "batch_size",
            "optimizer",
            "learning_rate",
            "weight_decay",
            "warmup_epochs",
            "temperature",
            "eval_every",
        ):
            self._set(name, type(self).model_fields[name].default)
        self._set("augment", ())
        self._set("augment_probability", ())
        self._drop_what_does_not_apply()
        return self

    def _set(self, name: str, value: object) -> None:
        # Frozen models take no assignment; normalising during validation is the one exception.
        self.__dict__[name] = value

    def untrained(self) -> "TrialConfig":
        """Config of the untrained encoder that this trial starts from (same seed)."""
        return TrialConfig.model_validate({**dict(self), "epochs": 0})

    def cell(self) -> "TrialConfig":
        """This config at seed 0: equal for all trials that differ only in the seed."""
        return TrialConfig.model_validate({**dict(self), "seed": 0})


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
    execution_only = {
        name
        for name, field in TrialConfig.model_fields.items()
        if field.json_schema_extra == EXECUTION_ONLY
    }
    content = {
        "semantics": SEMANTICS,
        "config": config.model_dump(mode="json", exclude=execution_only),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def readable_name(config: TrialConfig) -> str:
    """What a person tells trials apart by, such as `FD-TM_2d_spoken-digits_s0`."""
    chain = "-".join(config.augment) or "untrained"
    return f"{chain}_{config.encoder[-2:]}_{config.dataset}_s{config.seed}"


def parse_config(data: dict[str, Any]) -> TrialConfig | list[Fault]:
    """Validate plain data, as read from YAML or JSON; give all faults instead of the first."""
    return parse(TrialConfig, data)
