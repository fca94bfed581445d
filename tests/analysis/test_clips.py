import pytest
from written_run import trial_of

from analysis.clips import Clips, clips_in, shortfalls
from analysis.protocol import compare

SC10 = Clips(18_620, 2_494, 2_552)


def told(dataset: str, *found: Clips) -> list[str]:
    config = trial_of("FD", dataset=dataset).config
    protocol = compare([config], study="inputs", clips={dataset: found})
    return [str(one) for one in protocol.differences if one.field == "clips"]


def test_fewer_clips_than_the_official_ones_are_told() -> None:
    assert told("sc10", SC10._replace(train=62)) == ["training clips 62 instead of 18,620"]
    assert told("nsynth11", Clips(10, 20, 4_096)) == [
        "training clips 10 instead of 289,205",
        "validation clips 20 instead of 12,678",
    ]
    assert told("sc10", SC10, SC10._replace(test=5)) == ["test clips 5 in part instead of 2,552"]


@pytest.mark.parametrize(
    ("dataset", "clips"),
    [
        ("sc10", SC10),
        ("sc35", Clips(84_843, 9_981, 11_005)),
        ("nsynth128", Clips(289_205, 12_678, 4_096)),
        ("esc10", Clips(240, 80, 80)),
        ("esc50", Clips(1_440, 160, 400)),
        ("spoken-digits", Clips(1, 1, 1)),
        ("sc10", Clips(None, None, None)),
    ],
)
def test_whole_unknown_and_other_datasets_are_no_difference(dataset: str, clips: Clips) -> None:
    assert shortfalls(dataset, [clips]) == []
    assert told(dataset, clips) == []


def test_training_and_validation_of_esc_count_together() -> None:
    assert told("esc10", Clips(200, 80, 80)) == ["training and validation clips 280 instead of 320"]


def test_an_old_or_strange_record_says_nothing_of_its_clips() -> None:
    unknown = Clips(None, None, None)
    assert clips_in({}) == clips_in({"clips": 7}) == unknown
    assert clips_in({"clips": {"train": 62, "valid": True}}) == unknown._replace(train=62)
