"""What the package knows of a dataset: where its recordings come from, how they are listed."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.data.archive import Archive
from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.waveforms import Listing, Progress


class Request(NamedTuple):
    """What a source is given to list its clips.

    Attributes:
        work_folder: Empty; a source that makes its clips writes them here.
        recordings: Folder in the source's layout; None where the source makes its clips.
        condition: One of the source's conditions; None where it has none.
        clip_seconds: Length of the clips, of the user's own recordings only.
        progress: Called with (phase, done, total).
    """

    work_folder: Path
    recordings: Path | None
    condition: str | None
    clip_seconds: float | None
    progress: Progress | None

    def given(self) -> Path:
        """Return the recordings of a source that has some."""
        assert self.recordings is not None
        return self.recordings


class View(NamedTuple):
    """Classes that follow from the names of clips, so that datasets share a cache.

    Attributes:
        class_of: Class name of a clip name.
        class_names: All of them, sorted.
    """

    class_of: Callable[[str], str]
    class_names: tuple[str, ...]


class Source(NamedTuple):
    """One dataset.

    Attributes:
        name: As in a sweep file.
        num_classes: Of the whole dataset; None where the recordings decide.
        num_clips: Of the whole dataset; None where the recordings decide.
        clip_seconds: Length of each clip; None where the user decides.
        description: One sentence.
        licence: Of the recordings.
        list_clips: Finds or makes the clips.
        layout: Of the recordings, as errors tell it; None where the source makes its clips.
        marker: Pattern of paths; what holds one that matches is a folder in this layout.
        folders: Names below `CLAR_SWEEPS_DATA` where the recordings may lie.
        archives: To download; empty where there is nothing to.
        conditions: Names that `condition` may take; empty for none.
        default_condition: Taken where none is given.
        made_bytes: Disk for clips that the source makes, which stay in the cache.
        cache: Stem of the cache's folder; its own name where empty.
        view: Where several datasets share a cache.
        version: Raised when equal files give other clips, so that older caches are not used.
    """

    name: str
    num_classes: int | None
    num_clips: int | None
    clip_seconds: float | None
    description: str
    licence: str
    list_clips: Callable[[Request], Listing]
    layout: str | None = None
    marker: str = ""
    folders: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    conditions: tuple[str, ...] = ()
    default_condition: str | None = None
    made_bytes: int = 0
    cache: str = ""
    view: View | None = None
    version: int = 1

    @property
    def download_bytes(self) -> int:
        """Size of all archives, about."""
        return sum(archive.num_bytes for archive in self.archives)

    @property
    def unpacked_bytes(self) -> int:
        """Disk for what the archives hold, about."""
        return sum(archive.unpacked_bytes for archive in self.archives)

    def cache_bytes(self, num_clips: int, clip_seconds: float | None) -> int:
        """Size of the cache of some clips; 0 where their length is not known."""
        return num_clips * round((self.clip_seconds or clip_seconds or 0) * SAMPLE_RATE) * 2
