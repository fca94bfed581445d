"""What a report says of its seeds: never more than they show."""

from read_report import svg_texts
from written_run import Run

from analysis.frames import load_run
from analysis.report import write_report
from analysis.studies import find

# Spread of the seeds: no two cells have the same differences.
NOISE = (0.000, 0.004, -0.003, 0.002, -0.005)


def write_pairs(run: Run, *, seeds: int, order: float = 0.0, curve: bool = False) -> None:
    """FD 0.1 and TM 0.0 above 0.4 each time they act; FD before TM `order` above TM before FD."""
    trials = run.plan_pairs("FD", "TM", seeds=tuple(range(seeds)), eval_every=3)
    for number, trial in enumerate(trials):
        first, second = trial.config.augment[0], trial.config.augment[-1]
        test = 0.4 + 0.1 * (first == "FD") + 0.1 * (second == "FD")
        test += order * ((first, second) == ("FD", "TM"))
        test += NOISE[(2 * trial.config.seed + number) % 5]
        run.done(trial, test=test, curve={3: test - 0.1, 6: test} if curve else None)


def answers_of(run: Run) -> list[str]:
    (section,) = find(load_run(run.path)).sections
    return section.answers


def test_one_seed_tells_no_difference(run: Run) -> None:
    write_pairs(run, seeds=1)
    assert answers_of(run) == [
        "One seed a cell: no difference between cells can be told from chance."
    ]


def test_no_result_has_no_answer(run: Run) -> None:
    run.plan_pairs("FD", "TM")
    assert answers_of(run) == []


def test_the_chosen_cell_is_told_without_the_luck_of_being_chosen(run: Run) -> None:
    write_pairs(run, seeds=5)
    best, rivals, *_ = answers_of(run)
    assert best.startswith(
        "Free of the luck of being chosen among 4 cells, the pair chosen on validation has 60.0% ±"
    )
    assert best.endswith("on test; FD itself has 60.0%.")
    assert rivals == "No other cell may be as good."


def test_two_seeds_are_too_few_to_correct_for_luck(run: Run) -> None:
    write_pairs(run, seeds=2)
    assert not any("luck" in answer for answer in answers_of(run))


def test_operations_and_order_are_told_where_the_seeds_tell_them(run: Run) -> None:
    write_pairs(run, seeds=5, order=0.2)
    told = answers_of(run)
    # Rows: FD 0.60 and 0.70, TM 0.50 and 0.40.
    assert "Applied first, against the mean of all cells: FD +10.0, TM −10.0 points." in told
    assert "The order matters for 1 of 1 pairs: FD → TM +20.0 points over the other way." in told


def test_an_order_that_does_not_matter_is_not_told(run: Run) -> None:
    write_pairs(run, seeds=5)
    assert "The order of no pair of operations is told from chance (1 compared)." in answers_of(run)


def test_a_partial_run_is_told_what_cannot_be_compared_yet(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM", seeds=(0, 1))
    for number, trial in enumerate(trials[:5]):  # all of seed 0, one of seed 1
        run.done(trial, test=0.5 + 0.01 * number)
    told = answers_of(run)
    assert (
        "Operations cannot be compared yet: fewer than two seeds have a result in all cells."
        in (told)
    )
    assert "Orders cannot be compared yet: fewer than two seeds have both of a pair." in told


def test_a_chosen_cell_that_is_not_the_best_on_test_is_told(run: Run) -> None:
    trials = run.plan_pairs("FD", "TM", seeds=tuple(range(5)))
    for number, trial in enumerate(trials):
        is_chosen = trial.config.augment == ("FD",)
        test = (0.5 if is_chosen else 0.7) + 0.001 * ((7 * number) % 5)
        run.done(trial, test=test, valid=0.9 if is_chosen else 0.6)
    assert any(
        answer.startswith("On test FD is told from the best cell, which may be ")
        for answer in answers_of(run)
    )


def test_the_epoch_from_which_the_ranking_stands_is_told(run: Run) -> None:
    write_pairs(run, seeds=3, order=0.05, curve=True)
    assert answers_of(run)[-1] == (
        "From epoch 3 of 6 on the ranking of the cells is that of the end (Kendall's tau at least "
        "0.9)."
    )


def test_answers_stand_on_the_page_and_in_markdown(run: Run) -> None:
    write_pairs(run, seeds=5, order=0.2, curve=True)
    report = write_report(run.path)
    html, markdown = report.page.read_text(), (report.page.parent / "report.md").read_text()
    for answer in answers_of(run):
        assert f"- {answer}" in markdown
        assert answer.replace("'", "&#39;") in html


def test_effects_and_stability_are_drawn(run: Run) -> None:
    write_pairs(run, seeds=5, order=0.2, curve=True)
    folder = write_report(run.path).page.parent
    effects = svg_texts(folder / "effects.svg")
    assert {"FD → TM", "applied first", "applied second", "fade in/out  FD"} <= set(effects)
    stability = svg_texts(folder / "rank_stability.svg")
    assert "Would fewer epochs have ranked the cells alike?" in stability


def test_one_evaluated_epoch_draws_no_stability(square: Run) -> None:
    folder = write_report(square.path).page.parent
    assert (folder / "effects.svg").exists()
    assert not (folder / "rank_stability.svg").exists()
