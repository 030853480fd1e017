"""What is wrong with the data of a run, or unusual, in three lines at most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from setpiece.data.checks.examination import findings_of
from setpiece.data.checks.finding import Finding, Severity
from setpiece.data.checks.survey import Settings, Survey
from setpiece.data.dataset import Dataset

__all__ = ["brief"]

# Which training says itself; and what cannot be said without the test images.
LEFT_OUT = {"boxes.more-than-queries", "splits.no-valid", "splits.no-objects", "classes.unused"}

LONGEST = 200  # characters of a line, about


def brief(datasets: Iterable[Dataset], settings: Settings) -> list[str]:
    """A line of errors, one of warnings and one of notes, where there are some: what the fast checks find.

    Where a line would be too long, it says how many findings `setpiece doctor` shows beside those in it.

    Args:
        datasets: splits of one data set, as they were read.
        settings: what they are for.
    """
    splits = {dataset.split: dataset for dataset in datasets}
    survey = Survey(next(iter(splits.values())).root, splits, {})
    findings = [found for found in findings_of(survey, settings) if found.check not in LEFT_OUT]
    headings = zip(Severity, ("Wrong", "Doubtful", "Handled"), strict=True)
    by_severity = [(name, [found for found in findings if found.severity == severity]) for severity, name in headings]
    return [_line(f"{heading} in the data", of_severity) for heading, of_severity in by_severity if of_severity]


def _line(heading: str, findings: Sequence[Finding]) -> str:
    """All findings with an example each; where that is too long without examples, or the first findings alone."""
    with_examples, without = ([_said(found, example) for found in findings] for example in (True, False))
    shorter = [
        f"{'; '.join(without[:kept])}; and {len(without) - kept} more, which setpiece doctor shows"
        for kept in range(len(without) - 1, 0, -1)
    ]
    lines = [f"{heading}: {said}." for said in ("; ".join(with_examples), "; ".join(without), *shorter)]
    return next((line for line in lines if len(line) <= LONGEST), lines[-1])


def _said(found: Finding, example: bool) -> str:
    where = f"{found.split}: " if found.split else ""
    return f"{where}{found.what}{f' (for example {found.examples[0]})' if example and found.examples else ''}"
