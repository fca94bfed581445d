"""Predicted and measured cost in one table; a done trial of a written run took 15 s."""

from pathlib import Path

from written_run import Run, trial_of

from analysis.cost import CostRow, cost_rows, find_cost
from analysis.report import write_report
from clar_sweeps import records
from clar_sweeps.config import Trial, make_trial
from clar_sweeps.records.cost import Command, Cost, KindCost

TRIALS = [trial_of("PS"), trial_of("FD"), trial_of("FD", "TM")]
UNTRAINED = make_trial(TRIALS[0].config.untrained())


def predicted(*trials: Trial, seconds: float = 12.0) -> dict[str, float]:
    return {trial.id: seconds for trial in trials}


def cost_of(**fields: object) -> Cost:
    kinds = (
        KindCost("untrained encoder", predicted(UNTRAINED, seconds=10.0)),
        KindCost("PS", predicted(TRIALS[0], seconds=20.0)),
        KindCost("other operations", predicted(*TRIALS[1:])),
    )
    cost = Cost(format=1, at=1.0, slots=2, wall_seconds=30.0, disk_bytes=9, kinds=kinds)
    return cost._replace(**fields)


def test_kinds_are_compared_over_the_trials_that_are_done() -> None:
    cost = cost_of(kinds=(KindCost("all", {TRIALS[0].id: 20.0, TRIALS[1].id: 10.0}),))
    first, together, wall = cost_rows(cost, {TRIALS[0].id: 25.0})
    assert first == CostRow("all", "1 of 2", 20.0, 25.0)
    assert together == CostRow("all trials together", "1 of 2", 20.0, 25.0)
    assert first.texts == ("all", "1 of 2", "20.0 s", "25.0 s", "+25 %")
    assert wall == CostRow("wall time on 2 slots", "", 30.0, None)
    assert wall.texts[2:] == ("30.0 s", "–", "")


def test_of_a_run_that_has_not_begun_the_prediction_alone_is_told() -> None:
    rows = cost_rows(cost_of(), {})
    assert [row.predicted for row in rows] == [10.0, 20.0, 12.0, 54.0, 30.0]
    assert all(row.measured is None for row in rows)


def test_on_a_cluster_no_wall_time_is_compared() -> None:
    rows = cost_rows(cost_of(wall_seconds=None), {})
    assert rows[-1].kind == "all trials together"


def test_the_report_sets_the_prediction_beside_the_records(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.plan(*TRIALS)
    run.untrained(TRIALS[0], test=0.3)
    run.done(TRIALS[0], test=0.5)
    run.done(TRIALS[1], test=0.4)
    run.failed(TRIALS[2])
    records.write_cost(run.path, cost_of(commands=(Command(33.0, slots=2, trials=4, others=0),)))
    write_report(run.path)
    told = (run.path / "report" / "report.md").read_text()
    table = told[told.index("## Cost: predicted and measured") :].split("\n\n")[1]
    assert table.splitlines() == [
        "| kind | trials | predicted | measured | difference |",
        "| :--- | ---: | ---: | ---: | ---: |",
        "| untrained encoder | 1 of 1 | 10.0 s | 15.0 s | +50 % |",
        "| PS | 1 of 1 | 20.0 s | 15.0 s | −25 % |",
        "| other operations | 1 of 2 | 12.0 s | 15.0 s | +25 % |",
        "| all trials together | 3 of 4 | 42.0 s | 45.0 s | +7 % |",
        "| wall time on 2 slots |  | 30.0 s | 33.0 s | +10 % |",
    ]
    page = (run.path / "report" / "index.html").read_text()
    assert page.count("Cost: predicted and measured") == 1
    assert "<td>+25 %</td>" in page


def test_without_a_prediction_the_report_says_nothing_of_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.plan(*TRIALS)
    run.done(TRIALS[0], test=0.5)
    write_report(run.path)
    assert "Cost" not in (run.path / "report" / "report.md").read_text()


def test_a_damaged_prediction_is_one_line_among_the_notes(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.plan(*TRIALS)
    run.done(TRIALS[0], test=0.5)
    (run.path / "cost.json").write_text("{")
    assert find_cost(run.path, TRIALS).rows == []
    write_report(run.path)
    told = (run.path / "report" / "report.md").read_text()
    (line,) = [line for line in told.splitlines() if "cost.json" in line]
    assert line.startswith("- No prediction of the cost: ")
    assert line.endswith("remove it and run again")


def test_texts_of_a_stranger_are_no_markup(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.plan(*TRIALS)
    run.done(TRIALS[0], test=0.5)
    kinds = (KindCost("<script>`x`\n\x1b[31m", predicted(*TRIALS)),)
    records.write_cost(run.path, cost_of(kinds=kinds))
    write_report(run.path)
    page = (run.path / "report" / "index.html").read_text()
    assert "<script>`" not in page
    assert "&lt;script&gt;`x`" in page
    assert "\x1b" not in page
