"""Runs the checks on a data set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from setpiece.data.checks import boxes, classes, files, pixels, splits, texts
from setpiece.data.checks.finding import Finding, Severity
from setpiece.data.checks.kinds import FAMILIES, KINDS, OF_PIXELS
from setpiece.data.checks.survey import Progress, Settings, Survey, look_at, survey
from setpiece.errors import UsageError

__all__ = ["Examination", "chosen_kinds", "examine", "findings_of", "with_findings"]

Check = Callable[[Survey, Settings], Iterator[Finding]]

# What runs, in this order, each with the family that it is of. The first look at what was read, the others at files.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("files", files.readers),
    ("boxes", boxes.shapes),
    ("boxes", boxes.sizes),
    ("boxes", boxes.beside_each_other),
    ("boxes", boxes.too_many),
    ("classes", classes.counts),
    ("classes", classes.names),
    ("classes", classes.shares),
    ("splits", splits.amounts),
    ("splits", pixels.of_one_file),
    ("splits", pixels.of_one_photo),
    ("images", pixels.shapes),
)
CHECKS_OF_TEXTS: tuple[tuple[str, Check], ...] = (("files", texts.forms),)
CHECKS_OF_PIXELS: tuple[tuple[str, Check], ...] = (
    ("images", pixels.undecodable),
    ("images", pixels.of_one_colour),
    ("images", pixels.copies),
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examination:
    """What was found in a data set.

    Attributes:
        root: its folder.
        images: by split.
        findings: the worst first.
        survey: what was looked at.
    """

    root: Path
    images: dict[str, int]
    findings: tuple[Finding, ...]
    survey: Survey

    def worst(self) -> Severity | None:
        """That of the worst finding; None where nothing was found."""
        return self.findings[0].severity if self.findings else None


def examine(
    root: Path,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    fast: bool = False,
    progress: Progress | None = None,
) -> Examination:
    """Look at a data set, and say what is wrong with it or unusual.

    A check that fails is a finding of its own, an error: what it would have found is not known.

    Args:
        root: the folder of the data set.
        settings: what it is for.
        only: families of `KINDS`, as "boxes", or their names, as "boxes.small"; all where empty.
        skip: likewise; left out.
        fast: without what needs every pixel: copies, and images of one colour.
        progress: called while images are looked at.

    Raises:
        UsageError: there is no such folder, or no such check.
        DataError: no data set is recognised.
    """
    kinds = chosen_kinds(only, skip)
    of_data = survey(root, progress)
    if not fast and kinds & OF_PIXELS:
        of_data = look_at(of_data, progress)
    # A split that is refused, and a check that fails, leave open what else there is: they are always said.
    families = {kind.split(".")[0] for kind in kinds}
    said = kinds | {"files.refused"} | {f"{family}.failed" for family in families}
    checks = CHECKS + CHECKS_OF_TEXTS + (CHECKS_OF_PIXELS if of_data.looks else ())
    wanted = [found for found in findings_of(of_data, settings, checks) if found.check in said]
    images = {split: len(dataset.examples) for split, dataset in of_data.splits.items()}
    return Examination(root, images, tuple(wanted), of_data)


def chosen_kinds(only: Sequence[str] = (), skip: Sequence[str] = ()) -> set[str]:
    """The names of `KINDS` that are looked for, see `examine`.

    Raises:
        UsageError: there is no such check.
    """
    for name in (*only, *skip):
        if name not in KINDS and name not in FAMILIES:
            raise UsageError(f"There are no checks {name!r}: name a family, {', '.join(FAMILIES)}, or a kind of it.")
    return {kind for kind in KINDS if (not only or _among(kind, only)) and not _among(kind, skip)}


def with_findings(found: Examination, more: Sequence[Finding]) -> Examination:
    """The same with more findings, in order."""
    return replace(found, findings=tuple(sorted([*found.findings, *more], key=lambda each: each.severity)))


def findings_of(survey: Survey, settings: Settings, checks: Sequence[tuple[str, Check]] = CHECKS) -> list[Finding]:
    """What some checks find, the worst first."""
    findings = [found for family, check in checks for found in _run(family, check, survey, settings)]
    return sorted(findings, key=lambda found: found.severity)


def _run(family: str, check: Check, survey: Survey, settings: Settings) -> list[Finding]:
    try:
        return list(check(survey, settings))
    except Exception as error:  # the others still say what they find
        logger.debug("The check %s failed.", check.__name__, exc_info=True)
        what = f"the check {check.__name__} failed ({type(error).__name__}: {error}): what it looks for is not known"
        return [Finding(f"{family}.failed", Severity.ERROR, None, 1, what, "please report this")]


def _among(kind: str, names: Sequence[str]) -> bool:
    return kind in names or kind.split(".")[0] in names
