"""What two runs did otherwise, beside their numbers: fields, seeds, clips, machine, versions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from analysis.comparison.cells import CellPair
from analysis.frames import RunFrames
from analysis.protocol import fields_of, plain_text, words_of

# Of the entries of provenance; what is not named here is a version.
_MACHINE = ("platform", "device", "cpu_threads")
_CLIPS = ("dataset_digest", "clips")
_WORDS = {
    "dataset_digest": "digest of the clips",
    "clips": "clips by split",
    "git_revision": "code",
}
_DIGEST_LENGTH = 12


Kind = Literal["clips", "config", "seeds", "machine", "versions"]
_ORDER: tuple[Kind, ...] = get_args(Kind)  # the weightiest first


class Unlike(NamedTuple):
    """One thing in which two runs differ."""

    kind: Kind
    words: str
    one: str  # of A; empty where its records do not say
    two: str  # of B
    in_part: bool = False  # some of the shared cells have one value in both


def unlike(one: RunFrames, two: RunFrames, pairs: Sequence[CellPair]) -> list[Unlike]:
    """All in which two runs differ, as far as their records say, the weightiest first."""
    found = [*_fields(pairs), *_seeds(pairs), *_provenance(one.provenance, two.provenance)]
    return sorted(found, key=lambda entry: _ORDER.index(entry.kind))


def _fields(pairs: Iterable[CellPair]) -> list[Unlike]:
    """Fields whose values differ within a cell; cells that one run lacks are told elsewhere."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for pair in pairs:
        one, two = pair.configs
        if one is None or two is None:
            continue
        values, others = fields_of(one), fields_of(two)
        for name in dict.fromkeys([*values, *others]):
            texts = (plain_text(values.get(name)), plain_text(others.get(name)))
            found.setdefault(name, {})[texts] = None
    differing = []
    for name, both in found.items():
        apart = [texts for texts in both if texts[0] != texts[1]]
        if apart:
            one_text, two_text = _joined(apart)
            in_part = len(apart) < len(both)
            differing.append(Unlike("config", words_of(name), one_text, two_text, in_part))
    return differing


def _joined(apart: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The distinct values on either side."""
    one, two = (", ".join(dict.fromkeys(texts)) for texts in zip(*apart, strict=True))
    return one, two


def _seeds(pairs: Iterable[CellPair]) -> list[Unlike]:
    one, two = (sorted({seed for pair in pairs for seed in pair.by_seed[side]}) for side in (0, 1))
    if one == two:
        return []
    texts = [", ".join(map(str, seeds)) or "none" for seeds in (one, two)]
    return [Unlike("seeds", "seeds with a result", texts[0], texts[1])]


def _provenance(
    one: Mapping[str, tuple[str, ...]], two: Mapping[str, tuple[str, ...]]
) -> list[Unlike]:
    found = []
    for name in dict.fromkeys([*one, *two]):
        if set(one.get(name, ())) != set(two.get(name, ())):
            words = _WORDS.get(name, name.replace("_", " "))
            texts = [_texts(name, entries.get(name, ())) for entries in (one, two)]
            found.append(Unlike(_kind(name), words, texts[0], texts[1]))
    return found


def _texts(name: str, texts: Sequence[str]) -> str:
    shown = [text[:_DIGEST_LENGTH] if name == "dataset_digest" else text for text in texts]
    return ", ".join(sorted(shown))


def _kind(name: str) -> Kind:
    if name in _CLIPS:
        return "clips"
    return "machine" if name in _MACHINE else "versions"
