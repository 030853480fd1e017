"""What is wrong with the data of a run, or unusual, in three lines at most."""

from __future__ import annotations

from collections.abc import Iterable

from setpiece.data.checks.examination import findings_of
from setpiece.data.checks.finding import Severity
from setpiece.data.checks.survey import Settings, Survey
from setpiece.data.dataset import Dataset

__all__ = ["brief"]

# Which training says itself; and what cannot be said without the test images.
LEFT_OUT = {"boxes.more-than-queries", "splits.no-valid", "splits.no-objects", "classes.unused"}


def brief(datasets: Iterable[Dataset], settings: Settings) -> list[str]:
    """A line of errors, one of warnings and one of notes, where there are some: what the fast checks find.

    Args:
        datasets: splits of one data set, as they were read.
        settings: what they are for.
    """
    splits = {dataset.split: dataset for dataset in datasets}
    survey = Survey(next(iter(splits.values())).root, splits, {})
    findings = [found for found in findings_of(survey, settings) if found.check not in LEFT_OUT]
    lines = []
    for severity, heading in zip(Severity, ("Wrong", "Doubtful", "Handled"), strict=True):
        said = []
        for found in findings:
            if found.severity == severity:
                example = f" (for example {found.examples[0]})" if found.examples else ""
                said.append(f"{f'{found.split}: ' if found.split else ''}{found.what}{example}")
        if said:
            lines.append(f"{heading} in the data: {'; '.join(said)}.")
    return lines
