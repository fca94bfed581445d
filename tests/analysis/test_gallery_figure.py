"""The gallery's figure and page, from plain arrays."""

import base64
import re
import struct
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.gallery import Labels, _figure, draw_gallery, gallery_page

LABELS = Labels("digits (clean)", "clip one.wav · seed 0", "clar-sweep gallery --dataset digits")


class Shown(NamedTuple):
    name: str
    title: str
    caption: str
    waveform: NDArray[np.float32]
    mel: NDArray[np.float32]


class Numbers(NamedTuple):
    examples: tuple[Shown, ...]
    sample_rate: int = 8000
    hop_length: int = 80
    band_centres: NDArray[np.float32] = np.linspace(100, 3900, 20, dtype=np.float32)


def numbers(num_panels: int, *, seed: int = 0) -> Numbers:
    """Half a second of noise a panel, each twice as loud as the one before."""
    generator = np.random.default_rng(seed)
    shown = []
    for place in range(num_panels):
        waveform = generator.normal(size=4000).astype(np.float32) * 0.01 * 2**place
        mel = generator.normal(size=(20, 51)).astype(np.float32) + 6 * place
        name = f"OP{place}" if place else "clean"
        shown.append(Shown(name, f"title {place}", f"caption <{place}>", waveform, mel))
    return Numbers(tuple(shown))


def test_the_figure_names_every_panel_in_order() -> None:
    svg = draw_gallery(numbers(8), LABELS).svg.decode()
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert [text for text in texts if re.fullmatch(r"OP\d", text)] == [
        f"OP{i}" for i in range(1, 8)
    ]
    captions = [text for text in texts if text.startswith("caption")]
    assert captions == [f"caption &lt;{place}&gt;" for place in range(8)]
    assert {LABELS.heading, LABELS.remark} <= set(texts)
    assert "clean" not in texts  # the clip itself has a title only


@pytest.mark.parametrize(
    ("panels", "columns", "rows"),
    [(2, 2, 1), (4, 4, 1), (5, 3, 2), (6, 3, 2), (8, 4, 2), (9, 3, 3)],
)
def test_panels_stand_in_columns_that_leave_few_gaps(panels: int, columns: int, rows: int) -> None:
    axes = _figure(numbers(panels), LABELS).axes[:-1]  # the last is the colour bar
    assert len(axes) == 2 * panels
    corners = [box.get_position() for box in axes[::2]]
    assert len({round(corner.x0, 6) for corner in corners}) == columns
    assert len({round(corner.y0, 6) for corner in corners}) == rows


def test_all_panels_share_their_scales() -> None:
    gallery = numbers(5)
    axes = _figure(gallery, LABELS).axes[:-1]
    waves, mels = axes[::2], axes[1::2]
    assert len({axis.get_ylim() for axis in waves}) == 1
    loudest = max(np.abs(shown.waveform).max() for shown in gallery.examples)
    assert waves[0].get_ylim()[1] == pytest.approx(1.05 * loudest)
    assert {axis.get_xlim() for axis in axes} == {(0, 0.5)}
    assert {axis.images[0].get_clim() for axis in mels} == {(-80, 0)}
    top = [float(axis.images[0].get_array().max()) for axis in mels]
    assert max(top) == 0  # the loudest point of all, not of each
    assert top[0] < -10


def test_mel_axes_have_their_times_and_frequencies() -> None:
    axis = _figure(numbers(2), LABELS).axes[1]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0.5", "1", "2"]
    # Rows of 200 Hz from 100 Hz on.
    np.testing.assert_allclose(axis.get_yticks(), [2.0, 4.5, 9.5], atol=1e-5)
    left, right, *_ = axis.images[0].get_extent()
    assert (left, right) == pytest.approx((-0.005, 0.505))  # frames centred on 0, 0.01, ...


def test_the_clip_itself_stands_behind_each_other_waveform() -> None:
    axes = _figure(numbers(3), LABELS).axes[:-1:2]
    assert [len(axis.collections) for axis in axes] == [1, 2, 2]


def test_silence_and_odd_names_are_drawn() -> None:
    silent = Shown(
        "clean", "a $title", "$x^2$", np.zeros(4000, "f4"), np.full((20, 51), -100, "f4")
    )
    svg = draw_gallery(Numbers((silent, silent)), LABELS).svg.decode()
    assert svg.count("$x^2$") == 2
    assert "a $title" in svg


def test_equal_numbers_give_equal_bytes_and_others_do_not() -> None:
    first, again, other = (draw_gallery(numbers(2, seed=seed), LABELS) for seed in (0, 0, 1))
    assert first == again
    assert first.png != other.png
    assert first.svg != other.svg


def test_the_figure_has_the_width_of_two_columns_of_print() -> None:
    width, _ = struct.unpack(">II", draw_gallery(numbers(4), LABELS).png[16:24])
    assert width == 7.2 * 300


def test_the_page_holds_figure_and_sounds_itself() -> None:
    gallery = numbers(3)
    drawing = draw_gallery(gallery, LABELS)
    sounds = {shown.name: f"sound of {shown.name}".encode() for shown in gallery.examples}
    page = gallery_page(gallery, LABELS, drawing, name="gallery_digits", sounds=sounds)
    players = re.findall(r'<audio[^>]*src="data:audio/wav;base64,([^"]*)"', page)
    assert [base64.b64decode(player) for player in players] == list(sounds.values())
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    assert base64.b64decode(picture) == drawing.png
    assert "http" not in page
    assert "caption &lt;2&gt;" in page
    assert LABELS.command in page
