"""What a measurement hands back: a report that prints, saves, plots and becomes a page; several side by side."""

from infodil.report.comparison import ReportComparison, compare
from infodil.report.page import table_page
from infodil.report.report import RecoverabilityReport, load_report

__all__ = ["RecoverabilityReport", "load_report", "ReportComparison", "compare", "table_page"]
