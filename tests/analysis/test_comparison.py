import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from read_report import Page, svg_texts
from scipy.stats import ttest_rel
from typer.testing import CliRunner, Result
from written_run import Run, label_trials, trial_of

from analysis.bundle import write_bundle
from analysis.comparison.cells import CellPair, averaged, pair_cells
from analysis.comparison.protocols import unlike
from analysis.comparison.report import ComparisonReport, write_comparison
from analysis.comparison.wording import headlines
from analysis.frames import load_run
from analysis.stats import Estimates, estimate, holm, p_values, paired_difference
from clar_sweeps.cli import app
from clar_sweeps.config import Trial

MakeTrial = Callable[..., Trial]
# By chain: the three seeds' test top-1 in A and in B.
ONE = {"FD": (0.50, 0.52, 0.51), "FD+TM": (0.60, 0.63, 0.61), "TM+FD": (0.4, 0.5, 0.6),
       "TM": (0.30, 0.31, 0.32)}  # fmt: skip
TWO = {"FD": (0.60, 0.621, 0.611), "FD+TM": (0.50, 0.531, 0.511), "TM+FD": (0.45, 0.48, 0.62),
       "TM": (0.30, 0.31, 0.32)}  # fmt: skip


def pairs_run(path: Path, values: Mapping[str, tuple[float, ...]], **fields: object) -> Run:
    run = Run(path)
    operations = tuple(dict.fromkeys(name for chain in values for name in chain.split("+")))
    seeds = tuple(range(max(map(len, values.values()))))
    run.plan_pairs(*operations, seeds=seeds, **fields)
    for chain, numbers in values.items():
        for seed, value in enumerate(numbers):
            if not math.isnan(value):
                run.done(trial_of(*chain.split("+"), seed=seed, **fields), test=value)
    return run


@pytest.fixture
def one(tmp_path: Path) -> Run:
    return pairs_run(tmp_path / "one", ONE)


@pytest.fixture
def two(tmp_path: Path) -> Run:
    return pairs_run(tmp_path / "two", TWO, width=16)


def compared(one: Run, two: Run) -> dict[str, CellPair]:
    pairs = pair_cells(load_run(one.path), load_run(two.path))
    return {"+".join(pair.place.chain): pair for pair in pairs}


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)


def page_of(report: ComparisonReport) -> Page:
    return Page(report.page.read_text(encoding="utf-8"))


def test_holm_is_the_textbook_step_down() -> None:
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    corrected = holm(p)
    assert corrected == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)


def test_holm_keeps_the_chance_of_one_false_rejection() -> None:
    generator = np.random.default_rng(0)
    rejected = [bool((holm(row) < 0.05).any()) for row in generator.random((4_000, 20))]
    assert 0.035 < np.mean(rejected) < 0.062


def test_the_test_of_a_cell_is_the_paired_t_test() -> None:
    values, others = ONE["TM+FD"], TWO["TM+FD"]
    difference = paired_difference(dict(enumerate(others)), dict(enumerate(values)))
    some = [difference, estimate([0.1]), estimate([0.1, 0.1, 0.1])]
    p, *others_p = p_values(Estimates(*map(np.array, zip(*some, strict=True))))
    assert p == pytest.approx(ttest_rel(others, values).pvalue)
    assert np.isnan(others_p).all()


def test_cells_are_judged_after_correction(one: Run, two: Run) -> None:
    found = compared(one, two)
    assert {chain: pair.verdict for chain, pair in found.items()} == {
        "FD": "better", "FD+TM": "worse", "TM+FD": "not told apart", "TM": "equal",
    }  # fmt: skip
    # Three tests: TM gives the same numbers, so that it has none.
    smallest = min(found["FD"].p, found["FD+TM"].p)
    assert min(found["FD"].p_holm, found["FD+TM"].p_holm) == pytest.approx(3 * smallest)
    assert found["FD"].difference.mean == pytest.approx(np.mean(TWO["FD"]) - np.mean(ONE["FD"]))
    assert math.isnan(found["TM"].p_holm)


def test_turned_around_the_comparison_has_the_other_sign(one: Run, two: Run) -> None:
    there, back = compared(one, two), compared(two, one)
    for chain, pair in there.items():
        assert back[chain].difference.mean == pytest.approx(-pair.difference.mean)
        assert back[chain].p_holm == pytest.approx(pair.p_holm, nan_ok=True)
    assert back["FD"].verdict == "worse"


def test_only_seeds_that_both_have_are_paired(tmp_path: Path) -> None:
    absent = math.nan
    one = pairs_run(tmp_path / "one", {"FD": (0.5, 0.9, absent, 0.5), "TM": (0.1, absent)})
    two = pairs_run(tmp_path / "two", {"FD": (0.6, absent, 0.1, 0.8), "TM": (absent, 0.9)})
    found = compared(one, two)
    assert found["FD"].difference.n == 2
    assert found["FD"].difference.mean == pytest.approx(0.2)
    assert found["TM"].verdict == found["FD+TM"].verdict == "no shared seed"
    assert "2 cells" not in headlines([found["FD"]])[0]


def test_cells_of_one_run_alone_are_told(tmp_path: Path, one: Run) -> None:
    two = pairs_run(tmp_path / "other", {"FD": (0.5,), "WN": (0.6,)})
    found = compared(one, two)
    assert found["TM"].verdict == found["FD+TM"].verdict == "only in A"
    assert found["WN"].verdict == found["FD+WN"].verdict == "only in B"
    told = headlines(list(found.values()))
    assert told[-1].endswith("3 cells are planned in A alone. 3 cells are planned in B alone.")


def test_fields_that_differ_between_the_runs_do_not_part_their_cells(one: Run, two: Run) -> None:
    found = unlike(load_run(one.path), load_run(two.path), list(compared(one, two).values()))
    assert [(entry.words, entry.one, entry.two) for entry in found] == [("width", "8", "16")]


def test_fields_that_one_sweep_varies_do_part_its_cells(tmp_path: Path) -> None:
    one, two = Run(tmp_path / "one"), Run(tmp_path / "two")
    varied = [trial_of("FD", temperature=value) for value in (0.1, 0.5)]
    one.plan(*varied)
    two.plan(trial_of("FD", temperature=0.5, width=16))
    for trial, test in zip(varied, (0.3, 0.6), strict=True):
        one.done(trial, test=test)
    two.done(trial_of("FD", temperature=0.5, width=16), test=0.7)
    pairs = pair_cells(load_run(one.path), load_run(two.path))
    assert [(pair.place.panel[-15:], pair.verdict) for pair in pairs] == [
        ("temperature 0.1", "only in A"),
        ("temperature 0.5", "one seed"),
    ]
    assert pairs[1].difference.mean == pytest.approx(0.1)
    turned = pair_cells(load_run(two.path), load_run(one.path))
    assert [(pair.place.panel[-15:], pair.verdict) for pair in turned] == [
        ("temperature 0.5", "one seed"),
        ("temperature 0.1", "only in B"),
    ]


def test_machine_versions_clips_and_seeds_are_told(tmp_path: Path, make: MakeTrial) -> None:
    one, two = Run(tmp_path / "one"), Run(tmp_path / "two")
    for run, seeds in ((one, (0, 1)), (two, (0,))):
        trials = [make("FD", seed=seed, epochs=6 if run is one else 9) for seed in seeds]
        run.plan(*trials)
        for trial in trials:
            told = {"device": "a card", "torch": "2.12.0", "dataset_digest": "ab" * 32}
            run.done(trial, test=0.5, provenance=told if run is two else None)
    frames = load_run(one.path), load_run(two.path)
    found = {entry.words: entry for entry in unlike(*frames, pair_cells(*frames))}
    assert {words: entry.kind for words, entry in found.items()} == {
        "digest of the clips": "clips", "epochs": "config", "seeds with a result": "seeds",
        "device": "machine", "torch": "versions",
    }  # fmt: skip
    assert found["digest of the clips"].two == "ab" * 6
    assert (found["epochs"].one, found["epochs"].two) == ("6", "9")
    assert (found["seeds with a result"].one, found["seeds with a result"].two) == ("0, 1", "0")


def test_a_mean_is_over_seeds_that_all_cells_have(one: Run, two: Run) -> None:
    found = list(compared(one, two).values())
    by_seed = [np.mean([TWO[c][seed] - ONE[c][seed] for c in ONE]) for seed in range(3)]
    mean = averaged(found)
    assert mean.n == 3
    assert mean.mean == pytest.approx(np.mean(by_seed))
    assert mean.std == pytest.approx(np.std(by_seed, ddof=1))


def test_a_mean_over_cells_of_different_seeds_has_no_interval(tmp_path: Path) -> None:
    one = pairs_run(tmp_path / "one", {"FD": (0.5, math.nan), "TM": (math.nan, 0.5)})
    two = pairs_run(tmp_path / "two", {"FD": (0.6, 0.6), "TM": (0.7, 0.9)})
    found = list(compared(one, two).values())
    mean = averaged(found)
    assert (mean.n, mean.mean) == (0, pytest.approx(0.25))
    assert math.isnan(mean.half_width)
    assert "without an interval, for no seed has a result in all of them" in headlines(found)[1]
    assert averaged([]).n == 0


def test_the_headline_counts_cells(one: Run, two: Run) -> None:
    told = headlines(list(compared(one, two).values()))
    assert told[0].startswith(
        "Of the 3 cells that two seeds or more allow to test, 1 is better in B, 1 is worse, and "
        "1 is not told apart (paired t-tests over seeds, 5% after Holm's correction"
    )
    assert told[1].startswith("On average over 4 cells B lies 0.4 ± ")
    assert told[1].endswith(" points above A, paired over 3 seeds.")
    assert told[2] == "1 cell gives the same number in both at every shared seed."


def test_one_seed_gets_no_interval_and_the_headline_says_so(tmp_path: Path) -> None:
    one = pairs_run(tmp_path / "one", {"FD": (0.5,), "TM": (0.5,)})
    two = pairs_run(tmp_path / "two", {"FD": (0.6,), "TM": (0.4,)})
    written = write_comparison(one.path, two.path, tmp_path / "out")
    assert written.headlines[0] == (
        "The runs share one seed, so there is no interval and no test: B is higher in 1 cell and "
        "lower in 1."
    )
    texts = " ".join(page_of(written).texts)
    assert "±" not in texts.partition("Notes")[0]
    assert "One seed in common, so no interval and no test." in texts


def test_runs_without_a_common_cell_say_so(tmp_path: Path, make: MakeTrial) -> None:
    one, two = Run(tmp_path / "one"), Run(tmp_path / "two")
    one.plan(make("FD"))
    two.plan(make("TM"))
    written = write_comparison(one.path, two.path, tmp_path / "out")
    assert written.headlines == (
        "The two runs have no cell in common, so there is nothing to compare.",
    )
    two.plan(make("FD"))
    written = write_comparison(one.path, two.path, tmp_path / "out")
    assert written.headlines == ("Of 1 shared cell none has a seed with a result in both.",)


def test_a_comparison_of_pairs_has_a_matrix_a_table_and_its_files(one: Run, two: Run) -> None:
    result = report(one.path, two.path)
    assert result.exit_code == 0
    folder = two.path / "report" / "comparison-with-one"
    assert f"comparison: {folder / 'comparison.html'}" in result.stdout
    assert "A and B also differ in width (8 against 16)." in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == [
        "comparison.csv", "comparison.html", "comparison.md", "comparison.parquet",
        "differences.png", "differences.svg",
    ]  # fmt: skip
    texts = svg_texts(folder / "differences.svg")
    assert {"+10.1", "−9.9", "0.0", "test top-1 of two minus one, points"} <= set(texts)
    page = Page((folder / "comparison.html").read_text(encoding="utf-8"))
    assert {"two against one", "width", "better", "worse", "not told apart", "equal"} <= {
        *page.texts
    }
    assert all(name in page.addresses for name in ("comparison.csv", "comparison.md"))
    assert "| FD | 51.0 ± 2.5 | 61.1 ± 2.6 | +10.1 ± 0.1 | 3 |" in (
        folder / "comparison.md"
    ).read_text(encoding="utf-8")


def test_the_csv_file_has_all_metrics_as_fractions(one: Run, two: Run, tmp_path: Path) -> None:
    write_comparison(one.path, two.path, tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert len(frame) == 3 * 4
    fd = frame[(frame["chain"] == "FD") & (frame["metric"] == "test_knn_top1")].iloc[0]
    assert fd["a"] == pytest.approx(np.mean(ONE["FD"]) - 0.05)
    assert fd["difference"] == pytest.approx(np.mean(TWO["FD"]) - np.mean(ONE["FD"]))
    assert fd["num_shared"] == 3
    typed = pd.read_parquet(tmp_path / "out" / "comparison.parquet")
    assert list(typed.columns) == list(frame.columns)
    assert typed["difference"].tolist() == frame["difference"].tolist()


def test_tables_of_labelled_shares_are_compared_by_method_and_share(tmp_path: Path) -> None:
    one, two = Run(tmp_path / "one"), Run(tmp_path / "two")
    for run, shift, seeds in ((one, 0.0, (0, 1)), (two, 0.1, (0, 1))):
        trials = list(itertools.chain(*(label_trials(seed=seed) for seed in seeds)))
        run.plan(*trials)
        for place, trial in enumerate(trials):
            run.done(trial, test=0.3 + 0.01 * place + shift * (1 + 0.1 * trial.config.seed))
    written = write_comparison(one.path, two.path, tmp_path / "out")
    assert not [path for path in written.files if path.suffix == ".svg"]
    texts = page_of(written).texts
    assert texts.count("SimCLR") == 1
    assert texts.count("supervised") == texts.count("CLAR") == 4
    assert {"100%", "20%", "10%", "1%", "no labels"} <= {*texts}


def test_bundles_are_compared_as_their_runs_are(one: Run, two: Run, tmp_path: Path) -> None:
    of_folders = write_comparison(one.path, two.path, tmp_path / "folders")
    files = [write_bundle(run.path, tmp_path / f"{run.path.name}.zip").path for run in (one, two)]
    refused = report(*files)
    assert refused.exit_code == 2
    assert f"--out: {files[1]} is no run folder; say where" in refused.stderr
    assert report(*files, "--out", tmp_path / "bundles").exit_code == 0
    for path in of_folders.files:
        assert (tmp_path / "bundles" / path.name).read_bytes() == path.read_bytes()


def test_hostile_names_are_shown_as_they_are(tmp_path: Path, one: Run) -> None:
    two = pairs_run(tmp_path / "<script>$x_{$`a`", TWO)
    written = write_comparison(one.path, two.path, tmp_path / "out")
    page = page_of(written)
    assert "script" not in page.tags
    assert "<script>$x_{$`a` against one" in page.texts
    assert r"# \<script>$x_{$\`a\` (B)" in (tmp_path / "out" / "comparison.md").read_text()
    assert "test top-1 of B minus A, points" in svg_texts(tmp_path / "out" / "differences.svg")
