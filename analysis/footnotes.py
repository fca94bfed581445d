"""Where the paper contradicts itself: said beside every number that it touches.

docs/fidelity.md tells what this project made of each.
"""

from collections.abc import Sequence

_TWO_VALUES = (
    "The paper has two values for the 2-D encoder with fade, then time mask, after 1000 epochs on "
    "SC-10: 89.3 in Table 1 and Figure 4, 84.8 in Table 2."
)
_SHIFT_OR_STRETCH = (
    "The paper's row is FD + TM + TS (time shift); its section 5 speaks of time-stretching there."
)
_NOT_CONSISTENTLY = (
    "Section 5 says that time-frequency features consistently improve on the waveform; the means "
    "of section 4 favour 1-D (68.6 against 67.0), and so does SC-35 with FD (16.1 against 13.7)."
)
_MIXED_UNITS = (
    "Section 6.1 says that supervised training loses 66 % and CLAR 19 % from all labels to 1 %: "
    "66.3 points (69.9 % relative) and 18.2 points (18.9 % relative)."
)
_RELATIVE = "The abstract's 1 % relative over supervised training is 1.2 points."
_FADE = "Section 3.4 files fading under the frequency transformations; it changes no frequency."
_HEADINGS = "Table 1 prints ESC as ECS, and SC-50 for the set of 35 words."
_PLUS_MINUS = "The paper does not say what its ± is: neither over what, nor how wide."
_ROWS = (
    "Table 2 as it is printed is read by its text: SimCLR uses no labels, so it has one value, "
    "and the rows above and below are supervised and CLAR."
)


def footnotes_of_pairs(operations: Sequence[str], encoders: Sequence[str]) -> tuple[str, ...]:
    """Footnotes of the matrices of Figure 4."""
    found = [_PLUS_MINUS]
    if "resnet18_2d" in encoders:
        found.append(_TWO_VALUES)
    if len(encoders) > 1:
        found.append(_NOT_CONSISTENTLY)
    if "FD" in operations:
        found.append(_FADE)
    return tuple(found)


def footnotes_of_inputs(
    rows: Sequence[tuple[str, Sequence[str]]], columns: Sequence[str]
) -> tuple[str, ...]:
    """Footnotes of Table 1.

    Args:
        rows: Encoder and chain of each.
        columns: The paper's names of the datasets; without any, nothing is published beside them.
    """
    if not columns:
        return ()
    found = []
    places = {(encoder, tuple(chain)) for encoder, chain in rows}
    if ("resnet18_2d", ("FD", "TM")) in places and "SC-10" in columns:
        found.append(_TWO_VALUES)
    if ("resnet18_2d", ("FD", "TM", "TS")) in places:
        found.append(_SHIFT_OR_STRETCH)
    if len({encoder for encoder, _ in places}) > 1:
        found.append(_NOT_CONSISTENTLY)
    if {"SC-35", "ESC-10", "ESC-50"} & set(columns):
        found.append(_HEADINGS)
    return tuple(found)


def footnotes_of_labels(methods: Sequence[str]) -> tuple[str, ...]:
    """Footnotes of Table 2 and Figure 5."""
    found = [_ROWS]
    if "simclr" in methods:
        found.append(_TWO_VALUES)
    if {"supervised", "clar"} <= set(methods):
        found += [_MIXED_UNITS, _RELATIVE]
    return tuple(found)
