"""The page in a real browser: its script runs without an error, and what it shows are the report's numbers."""

import warnings
from xml.etree import ElementTree

import pandas as pd
import pytest
from browser import chromium
from synthetic_report import synthetic_report
from test_report import HOSTILE

from infodil.report import compare, load_report

pytestmark = pytest.mark.statistical  # a browser takes seconds to start


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


def test_the_table_begins_with_the_selected_probes_and_can_show_every_row(visit):
    report = synthetic_report(lags=range(4))
    page = visit(report)
    lines = page.locator("#all-rows tbody tr")
    selected = sum(row["chosen"] for row in report.rows)
    assert lines.count() == selected
    page.select_option("#rows-probe", "")
    assert lines.count() == len(report.rows)
    assert page.locator("#all-rows tr.chosen").count() == selected
    page.locator("#rows .tools label", has_text="Lag").locator("select").select_option("1")
    assert lines.count() == 9  # and not those of lag 12 or 16
    page.locator("#all-rows th[data-name=value_bits] button").click()
    texts = lines.locator("td:nth-child(5)").all_inner_texts()
    values = [float(text.split()[0].replace("\u2212", "-")) for text in texts]
    assert values == sorted(values)
    assert "mutual information" in page.locator("#rows .note").inner_text()


def readout(page):
    return page.locator("#curves .readout:visible").first.inner_text()


def most_different(report):
    """The lag at which the selected probe's bits at the sites lie farthest apart."""
    frame = report.to_frame()
    bits = frame[frame["chosen"]].groupby("lag")["value_bits"]
    return int((bits.max() - bits.min()).idxmax())


def test_findings_are_written_from_the_numbers(visit):
    report = synthetic_report(lags=range(9))
    text = visit(report).locator(".findings").inner_text()
    lag = most_different(report)
    assert f"Held longest: layer.1 still gives {report.estimate('layer.1', 8).value_bits:.2f} bits" in text
    assert "about the token 8 steps back, the longest lag measured." in text
    assert (
        f"Sites differ most at lag {lag}: layer.1 gives {report.estimate('layer.1', lag).value_bits:.2f} bits" in text
    )
    assert f"embedding {report.estimate('embedding', lag).value_bits:.2f} bits" in text
    assert (
        "Shuffled control" in text
        and "Random weights: at 27 of 27 sites and lags the gaussian probe reads more" in text
    )
    assert "1 warning below" in text


def test_the_read_out_begins_where_sites_differ_and_answers_mouse_keys_and_touch(visit):
    report = synthetic_report()
    page = visit(report, width=390, has_touch=True)
    assert readout(page).startswith("Lag 8:")
    assert f"{report.estimate('layer.1', 8).value_bits:.2f}" in readout(page)
    chart = page.locator("#curves svg[role=img]:visible")
    chart.press("ArrowRight")
    assert readout(page).startswith("Lag 10:")
    chart.press("Home")
    assert readout(page).startswith("Lag 0:")
    box = chart.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] - 20, box["y"] + 50)
    assert readout(page).startswith("Lag 128:")
    page.mouse.move(box["x"] + 60, box["y"] + 50)
    assert readout(page).startswith("Lag 0:")


def test_all_probes_of_a_site_stand_in_one_chart_above_their_controls(visit):
    page = visit(synthetic_report())
    page.locator("#curves label", has_text="Sites").locator("select").select_option("layer.0")
    text = readout(page)
    for name in ("prior", "gaussian", "linear", "shuffled tok", "random wei"):
        assert name in text
    assert "by the gaussian probe" in text


def test_random_weights_are_those_of_the_probe_that_read_them(visit):
    report = synthetic_report(lags=range(9))
    page = visit(report)
    page.locator("#curves label", has_text="Quantity").locator("select").select_option("random")
    row = next(r for r in report.rows if (r["site"], r["lag"], r["probe"]) == ("layer.1", 8, "gaussian"))
    assert "bits at random weights (gaussian probe)" in readout(page)
    assert f"{row['random_weights_bits']:.2f}" in readout(page) and "linear" not in readout(page)


def test_a_term_opens_its_definition(visit):
    page = visit(synthetic_report(), width=390, has_touch=True)
    page.locator("#summary .term", has_text="half-life").tap()
    assert "half of the bits at the shortest lag are lost" in page.locator("#meaning").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#meaning").is_hidden()
    assert page.locator("#glossary dt", has_text="beyond context").count() == 1


def test_the_summary_is_sorted_by_its_headings(visit):
    page = visit(synthetic_report())
    names = page.locator("#summary tbody th")
    page.get_by_role("button", name="sort by recoverable bits").click(click_count=2)
    page.get_by_role("button", name="sort by recoverable bits").click()
    assert names.all_inner_texts() in (["embedding", "layer.0", "layer.1"], ["layer.1", "layer.0", "embedding"])


def test_what_is_downloaded_is_the_report(visit, tmp_path):
    report = synthetic_report(tokens=HOSTILE)
    page = visit(report)

    def download(name):
        with page.expect_download() as found:
            page.get_by_role("button", name=name).click()
        path = tmp_path / found.value.suggested_filename
        found.value.save_as(path)
        return path

    assert load_report(download("report (JSON)")) == report
    frame = pd.read_csv(download("rows (CSV)"))
    assert frame["value_bits"].tolist() == report.to_frame()["value_bits"].tolist()
    drawn = ElementTree.parse(download("figure (SVG)")).getroot()
    assert drawn.tag.endswith("svg") and "var(" not in ElementTree.tostring(drawn, encoding="unicode")


def test_many_sites_are_a_heat_map_whose_cells_answer(visit):
    report = synthetic_report([f"layer.{place}" for place in range(12)], lags=range(16))
    page = visit(report)
    chart = page.locator("#curves svg[role=img]:visible")
    assert chart.locator(".cell").count() == 12 * 16 + 11
    lag = most_different(report)
    assert f"lag {lag}" in readout(page)
    chart.press("ArrowDown")
    assert f"layer.1, lag {lag}" in readout(page)
    assert f"{report.estimate('layer.1', lag).value_bits:.2f}" in readout(page)
    page.locator("#curves label", has_text="View").locator("select").select_option("curves")
    assert page.locator("#curves .legend button[aria-pressed=true]").count() == 10


def test_a_comparison_shows_differences_and_its_warnings_first(visit):
    one, two = synthetic_report(), synthetic_report(seed=1, config={"precision": "int8", "confidence": 0.95})
    page = visit(compare({"one": one, "two": two}))
    text = page.locator("body").inner_text()
    assert text.index("different precisions") < text.index("Difference by lag") < text.index("Summary")
    change = two.estimate("layer.0", 0).value_bits - one.estimate("layer.0", 0).value_bits
    page.locator("#differences svg[role=img]").press("Home")
    assert f"{change:.2f}".replace("-", "\u2212") in page.locator("#differences .readout").inner_text()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("colour_scheme", ["light", "dark"])
def test_nothing_overflows_and_no_rule_of_accessibility_is_broken(visit, width, colour_scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the package axe-playwright-python")
    page = visit(synthetic_report(tokens=HOSTILE), width=width, color_scheme=colour_scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]})
    assert found.violations_count == 0, found.generate_report()


def test_the_printed_page_holds_its_tables(visit):
    page = visit(synthetic_report())
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})
    for table in ("#summary table", "#all-rows"):
        assert page.locator(table).evaluate("(table) => table.getBoundingClientRect().right") <= 700
    assert page.pdf(format="A4").startswith(b"%PDF")


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
    report = synthetic_report([f"layer.{place}" for place in range(30)], lags=range(64))
    page = visit(report)
    page.wait_for_selector("#all-rows tbody tr")
    assert page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart") < 2000
