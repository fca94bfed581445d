"""What a reader must know beside the numbers of a run: what they average, what is missing."""

import pandas as pd

from analysis.frames import RunFrames, dataset_label
from analysis.studies import Findings
from analysis.wording import count, seeds_text


def notes_of(frames: RunFrames, findings: Findings) -> list[str]:
    """What a reader must know to read the numbers rightly."""
    notes = []
    found = [cell for section in findings.sections for cell in section.cells]
    found += [
        entry.cell
        for study in findings.labels
        for row in study.table.rows
        for entry in row.entries
        if entry.cell
    ]
    if any(cell.estimate.n for cell in found):
        # The legend of a table says it of its own means.
        notes += [seeds_text(found)] if findings.matrices else []
        notes.append(
            "The best cell is chosen on validation top-1 and reported on test, so it need not be "
            "the highest of the test numbers."
        )
    if any(not cell.estimate.n for cell in found):
        notes.append(
            "A cell without a result is in no mean; a mean that misses cells says how many it has."
        )
    if any(trial.config.evaluate_on == "augmented" for trial in frames.sweep.trials):
        notes.append(
            "Trained encoders are judged on augmented held-out clips, as in the authors' code, the "
            "untrained encoder on clean ones: the difference between them is not what training "
            "adds."
        )
    notes += _mixed_clips(frames.trials)
    extra = int((~frames.trials["planned"]).sum())
    if extra:
        notes.append(f"{count(extra, 'trial')} at seeds beside those of the plan included.")
    if frames.num_left_out:
        verb = "is" if frames.num_left_out == 1 else "are"
        notes.append(f"{count(frames.num_left_out, 'record')} of other configs {verb} left out.")
    notes += _first(
        [f"A record cannot be read and is left out: {fault}" for fault in frames.unreadable]
    )
    notes += _first([f"No untrained encoder: {fault}" for fault in frames.untrained_faults])
    return notes


def _first(notes: list[str], number: int = 20) -> list[str]:
    """Notes of one kind, as many as are read; the last line counts the others."""
    more = len(notes) - number
    return notes[:number] + ([f"And {more} more of this kind."] if more > 0 else [])


def _mixed_clips(trials: pd.DataFrame) -> list[str]:
    """Datasets that were not the same clips in all done trials; unknown ones say nothing."""
    known = trials[(trials["state"] == "done") & trials["digest"].notna()]
    known = known[["dataset", "condition", "folder", "digest"]].drop_duplicates()
    notes = []
    sets: dict[str, dict[str, None]] = {}
    for row in known.to_dict("records"):
        condition, folder = (
            None if pd.isna(row[name]) else str(row[name]) for name in ("condition", "folder")
        )
        name = dataset_label(str(row["dataset"]), condition, folder)
        sets.setdefault(name, {})[str(row["digest"])] = None
    for name, digests in sets.items():
        if len(digests) > 1:
            told = ", ".join(digest[:12] for digest in digests)
            notes.append(
                f"Results of {len(digests)} different sets of clips of {name} are averaged here: "
                f"their digests are {told}. Compare trials of one set alone."
            )
    return notes


def failures_of(frames: RunFrames) -> list[tuple[str, str, str]]:
    """Name, state and error line of every trial that ended badly."""
    ended_badly = frames.trials[frames.trials["state"].isin(["failed", "diverged"])]
    return [
        (str(row["name"]), str(row["state"]), "" if pd.isna(row["note"]) else str(row["note"]))
        for row in ended_badly.to_dict("records")
    ]
