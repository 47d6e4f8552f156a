"""The page in a real browser: its script runs without an error, and what it shows are the report's numbers."""

import warnings

import pytest
from browser import chromium
from synthetic_report import synthetic_report
from test_report import HOSTILE

from infodil.report import compare


@pytest.fixture(scope="module")
def browser():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with chromium() as browser:
            yield browser


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a report's page; whatever the page complains of fails the test."""
    complaints, contexts = [], []

    def open_page(report, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(report.to_html(tmp_path / f"{len(contexts)}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def test_every_row_is_in_the_table_and_the_selected_ones_are_marked(visit):
    report = synthetic_report(lags=range(4))
    page = visit(report)
    assert page.locator("#all-rows tbody tr").count() == len(report.rows)
    assert page.locator("#all-rows tbody tr.chosen").count() == sum(row["chosen"] for row in report.rows)


def test_hostile_text_stays_text(visit):
    evil = HOSTILE[0] + HOSTILE[1]
    page = visit(synthetic_report(["h", "<b>site"], tokens=HOSTILE, warnings=(evil,), model={"name": evil}))
    assert page.locator("b", has_text="site").count() == 0
    assert page.locator("main img").count() == 0
    assert evil in page.locator(".warnings").inner_text()


def test_a_comparison_runs(visit):
    page = visit(compare({"one": synthetic_report(), "two": synthetic_report(lags=range(3))}))
    assert page.locator("#all-rows tbody tr").count() > 0


def test_a_page_of_many_sites_lags_and_probes_opens_in_two_seconds(visit):
    report = synthetic_report([f"layer.{place}" for place in range(8)], lags=range(64))
    page = visit(report)
    page.wait_for_selector("#all-rows tbody tr")
    assert page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart") < 2000
