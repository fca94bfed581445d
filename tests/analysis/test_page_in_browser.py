"""The report in a real browser: no error, no broken link, nothing wider than the window."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from written_run import Run, write_labels

from analysis.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
WIDTHS = (500, 1024, 1920)  # Chromium makes no window narrower than 500

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="Chromium or its driver is not installed"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    # Without its sandbox a browser runs as root too; it opens our own pages alone.
    for argument in ("--headless", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=Service(DRIVER)) as chrome:
        yield chrome


@pytest.fixture
def pairs(run: Run) -> Run:
    """Three operations, two seeds; FD-TM 0.82 at seed 0 and 0.92 at seed 1; the last failed."""
    trials = run.plan_pairs("PS", "FD", "TM", seeds=(0, 1))
    for number, trial in enumerate(trials[:-1]):
        test = 0.30 + 0.02 * (number % 9) + 0.10 * trial.config.seed
        is_best = trial.config.augment == ("FD", "TM")
        run.done(trial, test=test + 0.42 if is_best else test, curve={3: 0.2, 6: test})
    run.failed(trials[-1])
    for trial in (trials[0], trials[9]):
        run.untrained(trial, test=0.25)
    return run


def open_page(browser: Chrome, page: Path) -> None:
    browser.get(page.as_uri())


def faults(browser: Chrome) -> list[str]:
    entries = browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves it so
    return [entry["message"] for entry in entries]


def overflow(browser: Chrome) -> int:
    """Pixels by which the page is wider than its window."""
    wider: int = browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider


def links(browser: Chrome) -> set[str]:
    addresses = {
        element.get_attribute("href") or "" for element in browser.find_elements(By.TAG_NAME, "a")
    }
    return {address for address in addresses if address.startswith("file:")}


def text_of(browser: Chrome, row: int, column: int) -> str:
    place = f".matrix tbody tr:nth-child({row + 1}) td:nth-of-type({column + 1})"
    return browser.find_element(By.CSS_SELECTOR, place).text.splitlines()[0]


def test_pages_have_no_error_no_broken_link_and_no_overflow(browser: Chrome, pairs: Run) -> None:
    report = write_report(pairs.path)
    trials = sorted((report.page.parent / "trials").iterdir())
    assert len(trials) == 18
    for page in (report.page, trials[0], trials[-1]):
        for width in WIDTHS:
            browser.set_window_size(width, 900)
            open_page(browser, page)
            assert overflow(browser) == 0, (page, width)
        assert faults(browser) == []
        for address in links(browser):
            target, _, anchor = address.removeprefix("file://").partition("#")
            assert Path(target).exists(), address
            assert not anchor or browser.find_elements(By.ID, anchor), address


def test_a_cell_leads_to_its_trial_and_back(browser: Chrome, pairs: Run) -> None:
    open_page(browser, write_report(pairs.path).page)
    browser.find_element(By.CSS_SELECTOR, ".matrix .chosen a").click()
    assert "FD → TM, seed 0" in browser.title
    browser.find_element(By.LINK_TEXT, "1").click()
    assert "FD → TM, seed 1" in browser.title
    browser.find_element(By.LINK_TEXT, "tiny").click()
    assert browser.title.startswith("tiny")
    assert faults(browser) == []


def test_a_seed_and_a_judge_can_be_chosen(browser: Chrome, pairs: Run) -> None:
    open_page(browser, write_report(pairs.path).page)
    assert (text_of(browser, 1, 2), text_of(browser, 1, 3)) == ("87.0", "57.0")
    matrix = browser.find_element(By.CLASS_NAME, "matrix")
    at_first = matrix.get_attribute("innerHTML")
    Select(browser.find_element(By.ID, "matrix-seed")).select_by_value("1")
    assert (text_of(browser, 1, 2), text_of(browser, 1, 3)) == ("92.0", "62.0")
    # The trial of seed 1 failed: the mean of its row says so.
    assert text_of(browser, 2, 2) == "–"
    Select(browser.find_element(By.ID, "matrix-metric")).select_by_value("test_knn_top1")
    assert text_of(browser, 1, 2) == "87.0"
    Select(browser.find_element(By.ID, "matrix-seed")).select_by_value("all")
    assert text_of(browser, 1, 2) == "82.0"
    Select(browser.find_element(By.ID, "matrix-metric")).select_by_value("test_top1")
    assert matrix.get_attribute("innerHTML") == at_first
    assert faults(browser) == []


def test_trials_are_sorted_and_filtered(browser: Chrome, pairs: Run) -> None:
    open_page(browser, write_report(pairs.path).page)
    head = browser.find_element(By.XPATH, "//table[@id='trial-table']//th[contains(., 'head')]")

    def first() -> str:
        rows = browser.find_elements(By.CSS_SELECTOR, "#trial-table tbody tr")
        return next(row.text for row in rows if row.is_displayed())

    head.find_element(By.TAG_NAME, "button").click()
    assert first().startswith("PS 0 done")
    head.find_element(By.TAG_NAME, "button").click()
    assert first().startswith("FD → TM 1 done")
    Select(browser.find_element(By.ID, "trial-seed")).select_by_value("0")
    assert first().startswith("FD → TM 0 done")


@pytest.mark.parametrize("width", WIDTHS)
def test_label_tables_fit_as_well(browser: Chrome, run: Run, width: int) -> None:
    write_labels(run)
    report = write_report(run.path)
    browser.set_window_size(width, 900)
    open_page(browser, report.page)
    assert overflow(browser) == 0
    assert faults(browser) == []
