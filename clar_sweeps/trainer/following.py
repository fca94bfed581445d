"""A process that helps a trial: any rank but the first."""

from clar_sweeps import data
from clar_sweeps.config import TrialConfig
from clar_sweeps.trainer.ranks import Ranks
from clar_sweeps.trainer.trainer import Trainer


def follow(config: TrialConfig, ranks: Ranks) -> None:
    """Take part in all that rank 0 trains and evaluates, until it ends.

    Reads nothing of the trial's folder: what a checkpoint held comes from rank 0.
    """
    waveforms = data.load(*config.clips)
    Trainer(config, waveforms, ranks=ranks).follow()
