"""What a cache tells of its clips, as JSON beside the samples, with a digest of itself."""

import hashlib
import json
from pathlib import Path
from typing import Any

FORMAT = 2
METADATA_FILE = "metadata.json"
_PER_CLIP = ("labels", "splits", "speakers", "clip_names")
# Tell where the clips came from; equal clips of another origin have the same digest.
_ORIGIN = ("digest", "source", "archives")


def write_metadata(folder: Path, content: dict[str, Any]) -> None:
    """Write `content` with its format and digest."""
    metadata = {"format": FORMAT, **content}
    metadata["digest"] = _digest(metadata)
    (folder / METADATA_FILE).write_text(json.dumps(metadata), encoding="utf-8")


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read what `write_metadata` wrote.

    Raises:
        OSError, ValueError, KeyError, TypeError: absent, of another format, or changed.
    """
    metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    if not isinstance(metadata, dict):
        raise ValueError(f"{METADATA_FILE} holds no object")
    if metadata["format"] != FORMAT:
        raise ValueError(f"format is {metadata['format']}, expected {FORMAT}")
    if _digest(metadata) != metadata["digest"]:
        raise ValueError(f"{METADATA_FILE} does not match its own digest")
    num_clips = metadata["shape"][0]
    for key in _PER_CLIP:
        if len(metadata[key]) != num_clips:
            raise ValueError(f"{key} has {len(metadata[key])} entries, expected {num_clips}")
    return metadata


def _digest(metadata: dict[str, Any]) -> str:
    content = {key: value for key, value in metadata.items() if key not in _ORIGIN}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
