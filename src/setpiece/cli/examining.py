"""`setpiece doctor`: what is wrong with a data set, or unusual."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from setpiece.cli.app import DataFolder, app, console, require_writable
from setpiece.errors import UsageError

if TYPE_CHECKING:
    from setpiece.data.checks import Examination, Finding
    from setpiece.model.checkpoint import Checkpoint

__all__ = ["doctor"]

COLOURS = {"ERROR": "red", "WARNING": "yellow", "NOTE": "cyan"}


@app.command()
def doctor(
    data: DataFolder,
    size: Annotated[
        int | None,
        typer.Option(min=64, help="Input size in pixels that objects are judged at.  \\[default: sprint-n's]"),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Leave out what needs every pixel: copies, and images of one colour.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for warnings, too.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Run these checks alone: files, boxes, classes, splits, images, labels or one as boxes.small."
        ),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave these checks out.")] = None,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a repaired copy into this folder, with a log of each change."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Also look for label errors: what this detector contradicts. A run, a checkpoint, or a preset, which "
            "is trained on each half of the images to judge the other."
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Length of each of the two trainings of a preset.")] = 3.0,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with pictures: one HTML file that needs nothing else.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the findings into this file.")] = None,
) -> None:
    """Say what is wrong with a data set, or unusual. Ends with 1 if something is wrong."""
    from setpiece.atomic import write_whole
    from setpiece.data.checks import Settings, Severity, examine
    from setpiece.data.checks.examination import chosen_kinds
    from setpiece.data.checks.kinds import OF_PIXELS
    from setpiece.data.checks.page import as_json, page_payload
    from setpiece.data.checks.repaired import LOG, refuse_target, write_repaired
    from setpiece.model.checkpoint import load_unless_preset
    from setpiece.model.presets import presets
    from setpiece.web import render

    for file, option in ((json_file, "--json"), (html, "--html")):
        if file is not None:
            require_writable(file, option)
    if fix is not None:
        refuse_target(data, fix)
    kinds = chosen_kinds(only or (), skip or ())
    about_labels = any(kind.startswith("labels.") for kind in kinds)
    if model is not None and not about_labels:
        raise UsageError("--model is for the checks of labels, and these are left out: give one or the other.")
    if not kinds:
        named = " that --only names" if only else ""
        raise UsageError(f"--skip leaves out all checks{named}: nothing is left to look for.")
    if model is None and only and all(kind.startswith("labels.") for kind in kinds):
        raise UsageError("The checks of labels need a detector: give one with --model, such as --model sprint-n.")
    if fast and only and kinds <= OF_PIXELS:
        raise UsageError("--fast leaves out the checks that --only names: give one or the other.")
    checkpoint = None if model is None else load_unless_preset(model)
    usual = presets()["sprint-n"].size
    settings = Settings(usual if size is None else usual.with_shortest(size))
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("looking at the images", total=None)
        found = examine(
            data,
            settings,
            only=only or (),
            skip=skip or (),
            fast=fast,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if model is not None:
        found = _with_label_errors(found, model, checkpoint, minutes, size, kinds)
    _show(found)
    if json_file is not None:
        write_whole(json_file, json.dumps(as_json(found), indent=1) + "\n")
    if html is not None:
        write_whole(html, render(page_payload(found)))
    if fix is not None:
        lines = write_repaired(found.survey, fix)
        console.print(f"The repaired copy is {fix}/ (COCO), and {fix / LOG} says what was changed: {lines} lines.")
    worst = found.worst()
    if worst is not None and worst <= (Severity.WARNING if strict else Severity.ERROR):
        raise typer.Exit(1)


def _with_label_errors(
    found: Examination, model: str, checkpoint: Checkpoint | None, minutes: float, size: int | None, kinds: set[str]
) -> Examination:
    """What a detector contradicts beside what was found. Where that fails it is a finding too, and the others stay."""
    from setpiece.data.checks import Finding, Severity
    from setpiece.data.checks.examination import with_findings
    from setpiece.errors import SetpieceError

    try:
        findings = [each for each in _label_findings(found, model, checkpoint, minutes, size) if each.check in kinds]
    except SetpieceError as error:
        what = str(error).removesuffix(".")
        findings = [Finding("labels.failed", Severity.ERROR, None, 1, what, "correct that first, or leave out --model")]
    return with_findings(found, findings)


def _label_findings(
    found: Examination, model: str, checkpoint: Checkpoint | None, minutes: float, size: int | None
) -> list[Finding]:
    from setpiece.errors import DataError
    from setpiece.inference.label_errors import Suspect, label_findings, suspects
    from setpiece.inference.predictor import Predictor
    from setpiece.training.config import resolve
    from setpiece.training.studies import out_of_fold

    splits = dict(found.survey.splits)
    contradicted: dict[str, list[Suspect]] = {split: [] for split in splits}
    if checkpoint is None:
        if "train" not in splits:
            raise DataError(f"{found.root} has no train split to train {model} on: give a detector that is trained.")
        config = resolve(found.root, model, minutes=minutes, size=size, evaluations=1)
        for checkpoint, unseen, _ in out_of_fold(config, splits.pop("train"), console=console):
            contradicted["train"] += suspects(Predictor(checkpoint), unseen)
    assert checkpoint is not None
    for split, dataset in splits.items():
        contradicted[split] += suspects(Predictor(checkpoint), dataset)
    return [each for split, of_split in contradicted.items() for each in label_findings(of_split, split)]


def _show(found: Examination) -> None:
    images = ", ".join(f"{count} in {split}" for split, count in found.images.items())
    console.print(f"{found.root}: {sum(found.images.values())} images ({images or 'none that can be read'})")
    if not found.findings:
        console.print("Nothing is wrong or unusual.")
        return
    table = Table(pad_edge=False, expand=True)
    for heading in ("", "split", "found", "what to do"):
        table.add_column(heading, overflow="fold", ratio={"found": 3, "what to do": 2}.get(heading))
    for finding in found.findings:
        severity = finding.severity.name
        mark = Text(severity.lower(), style=COLOURS[severity])
        table.add_row(mark, finding.split or "", _what(finding), finding.advice)
    console.print(table, highlight=False)


def _what(finding: Finding) -> str:
    example = f" ({finding.examples[0]})" if finding.examples else ""
    return f"{finding.what}{example} [{finding.check}]"
