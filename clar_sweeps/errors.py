"""Errors that a user can meet; each says place, rule, value and remedy in one line.

ClarSweepsError
├── UsageError             the user can mend it: exit code 2
│   ├── ConfigError            a sweep file, a field, an override
│   ├── DataError              a dataset, a clip, a cache
│   ├── RecordError            a run folder or a record in it
│   ├── DependencyError        an optional package that is not installed
│   ├── AuditError             an augmentation chain that is not what it is to be
│   ├── RunLockedError         another process works in the run folder
│   └── DiskFullError          a disk has no room for a record or a checkpoint
├── DivergedError          a number that is not finite: ends one trial
├── RankLostError          another process of the trial has ended
└── CheckpointError        a checkpoint that is truncated or of another trial
"""


class ClarSweepsError(Exception):
    """Root of all errors that this project raises on purpose."""


class UsageError(ClarSweepsError):
    """Something the user gave is wrong; nothing was started."""


class ConfigError(UsageError):
    """One or more faults of a sweep file, a field or an override."""


class DataError(UsageError):
    """A dataset is absent, incomplete, corrupt, or a clip cannot be used."""


class RecordError(UsageError):
    """A run folder or a record in it is absent or cannot be read."""


class DependencyError(UsageError):
    """An optional package is needed and not installed."""


class AuditError(UsageError):
    """An augmentation, or a chain of them, breaks a rule of the audit."""


class RunLockedError(UsageError):
    """Another process holds the run folder."""


class DiskFullError(UsageError):
    """A file did not fit on its disk; the file before it stands."""


class DivergedError(ClarSweepsError):
    """A loss, a weight or a representation is not finite."""

    def __init__(self, what: str, *, epoch: int, step: int) -> None:
        super().__init__(f"{what} at epoch {epoch}, step {step}; lower the learning rate")


class RankLostError(ClarSweepsError):
    """A trial of several processes has lost one; the message says of what, where it is known."""


class CheckpointError(ClarSweepsError):
    """A checkpoint is truncated, corrupt, or belongs to another trial."""
