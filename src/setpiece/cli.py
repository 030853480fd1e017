"""The command line. Each command imports its room when it runs, so that `--help` answers at once."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from setpiece.errors import SetpieceError, UsageError

app = typer.Typer(
    help="Object detection as set prediction: train a DETR on your images, evaluate it, predict with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(markup=False)  # class names and paths may hold brackets

DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="Folder of a data set: COCO, YOLO or Pascal VOC.")]
Model = Annotated[str, typer.Argument(help="A run or checkpoint folder, a .pth or .safetensors file, or a hub id.")]


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Options of every command; `main` looks for `--debug` itself, wherever it stands."""


@app.command()
def train(
    data: DataFolder,
    model: Annotated[str, typer.Option(help="A preset, or a checkpoint to fine-tune.")] = "sprint-n",
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images (50 if no length is given).")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes of training, in the place of --epochs.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run.  [default: runs/DATA-MODEL]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --output where it was stopped.")
    ] = False,
    backbone: Annotated[
        str | None, typer.Option(help="Another CNN for a sprint preset: torchvision/NAME or timm/NAME.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels that an image is fitted into.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step, over all processes.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="After warm-up; the CNN's follows.")] = None,
    backbone_learning_rate: Annotated[float | None, typer.Option(help="Of the CNN alone.")] = None,
    weight_decay: Annotated[float | None, typer.Option()] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of the gradient.")] = None,
    orientations: Annotated[
        str | None, typer.Option(help="In which images are shown: all (eight), mirrored (or not) or upright.")
    ] = None,
    evaluations: Annotated[int | None, typer.Option(help="How often to evaluate, over the run.  [default: 10]")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16 or fp32.")] = None,
    pretrained: Annotated[
        bool, typer.Option(help="Start the CNN from ImageNet weights where the preset has some.")
    ] = True,
    workers: Annotated[int | None, typer.Option(help="Processes that load images ahead.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Train a detector on a data set."""
    from setpiece.training.config import resolve
    from setpiece.training.train import train as run_training

    if resume and output is None:
        raise UsageError("--resume continues the run in --output: say which folder that is.")
    if output is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("Several processes have to agree on the folder of the run: give --output.")
    config = resolve(
        data,
        model,
        epochs=epochs,
        minutes=minutes,
        backbone=backbone,
        size=size,
        batch_size=batch_size,
        learning_rate=learning_rate,
        backbone_learning_rate=backbone_learning_rate,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        orientations=orientations,
        evaluations=evaluations,
        precision=precision,
        pretrained=pretrained,
        workers=workers,
        seed=seed,
    )
    folder = output or unused(Path("runs") / f"{data.resolve().name}-{Path(model).name}")
    best = run_training(config, folder, resume=resume, console=console)
    if os.environ.get("RANK", "0") == "0":
        _summarise(best, folder)


@app.command("eval")
def evaluate(
    model: Model,
    data: DataFolder,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "valid",
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the metrics into this file.")] = None,
) -> None:
    """Measure a detector on a data set: COCO's twelve numbers, and AP per class."""
    from setpiece.atomic import write_whole
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector

    if json_file is not None:
        _require_writable(json_file, "--json")
    detector = Detector.load(model)
    dataset = open_dataset(data, split)
    for line in dataset.defects.summary():
        console.print(line, soft_wrap=True, highlight=False)
    metrics = detector.evaluate_coco(dataset)
    console.print(metrics.table())
    if json_file is not None:
        text = json.dumps(metrics.to_dict(), indent=2) + "\n"
        write_whole(json_file, lambda path: path.write_text(text))


@app.command()
def predict(
    model: Model,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Images, folders of images, globs.")],
    threshold: Annotated[float, typer.Option(help="The least confidence to show.")] = 0.5,
    output: Annotated[Path, typer.Option(help="Folder for pictures and predictions.json.")] = Path("predictions"),
) -> None:
    """Detect objects in images: draws them, and writes COCO results."""
    from setpiece.detector import Detector
    from setpiece.inference.files import predict_files
    from setpiece.inference.sources import find_images

    files = find_images(sources)
    count = predict_files(Detector.load(model).predictor(), files, output, threshold)
    console.print(f"{count} objects in {len(files)} images: see {output}/ and {output / 'predictions.json'}")


@app.command()
def explain(
    model: Model,
    data: Annotated[Path | None, typer.Option(metavar="DATA", help="Folder of a data set.")] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "valid",
    images: Annotated[
        list[str] | None,
        typer.Option(help="Images of the data set by their file names, one or several; without --data, any images."),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE", show_default=False, help="Further --images.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The report: one HTML file that needs nothing else.")] = Path(
        "report.html"
    ),
    limit: Annotated[int, typer.Option(min=1, help="The first so many images, where none are named.")] = 50,
) -> None:
    """Show the set prediction: who is matched with whom, at what cost, what it teaches, and how training moved it."""
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.inference.sources import find_images

    if more and not images:
        raise UsageError(f"It is not clear what {more[0]} is: name images after --images, a data set after --data.")
    names = [*(images or []), *(more or [])]
    if data is None and not names:
        raise UsageError("Say what to explain the model on: --data DATA, or --images FILE.")
    _require_writable(output, "--output")
    detector = Detector.load(model)
    if data is None:
        explanation = detector.explain([str(file) for file in find_images(names)])
    else:
        explanation = detector.explain_dataset(open_dataset(data, split), names, limit=limit)
    explanation.to_html(output)
    for finding in explanation.findings:
        console.print(f"- {finding}", soft_wrap=True, highlight=False)
    count = len(explanation.images)
    console.print(f"{count} image{'s' if count != 1 else ''} explained in {output}: open it in a browser.")


@app.command()
def tour(
    output: Annotated[Path, typer.Option(help="The page: one HTML file that needs nothing else.")] = Path("tour.html"),
) -> None:
    """Learn set prediction from nothing: a guided page with examples to play with, no model needed."""
    from setpiece.explain import write_tour

    _require_writable(output, "--output")
    write_tour(output)
    console.print(f"The tour is {output}: open it in a browser.")


@app.command()
def demo(
    minutes: Annotated[float, typer.Option(help="Minutes of training.")] = 3.0,
    output: Annotated[Path | None, typer.Option(help="Folder of the run.  [default: runs/demo]")] = None,
) -> None:
    """Draw a small data set, train on it, evaluate, predict, explain: the whole path in a few minutes."""
    from setpiece.data.scenes import write_scenes
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.inference.files import predict_files
    from setpiece.inference.sources import find_images
    from setpiece.training.config import resolve
    from setpiece.training.train import train as run_training

    folder = output or unused(Path("runs") / "demo")
    scenes = folder.parent / "scenes"
    config = resolve(scenes, "sprint-n", minutes=minutes, size=320)  # trains at up to 256, as the scenes are
    console.print("Drawing a data set of textured scenes with overlapping shapes ...")
    write_scenes(scenes)
    best = run_training(config, folder, console=console)
    files = find_images([str(scenes / "valid")])[:24]
    detector = Detector.load(best)
    predict_files(detector.predictor(), files, folder / "predictions", threshold=0.5)
    detector.explain_dataset(open_dataset(scenes, "valid")).to_html(folder / "report.html")
    _summarise(best, folder)
    console.print(
        f"  data set     {scenes}/\n  predictions  {folder / 'predictions'}/ (of held-out scenes)\n"
        f"  report       {folder / 'report.html'} (who was matched with whom, and why: open it in a browser)",
        soft_wrap=True,
        highlight=False,
    )


def _summarise(best: Path, folder: Path) -> None:
    from setpiece.evaluation import CocoMetrics

    if (best / "metrics.json").is_file():
        console.print(CocoMetrics.from_dict(json.loads((best / "metrics.json").read_text())).table())
    console.print(
        f"Where to look:\n  checkpoint   {best}/\n  metrics      {folder / 'metrics.jsonl'}, and: tensorboard --logdir "
        f"{folder}\n  pictures     {folder / 'pictures'}/ (ground truth beside predictions)",
        soft_wrap=True,
        highlight=False,
    )


def _require_writable(file: Path, option: str) -> None:
    """Refuse what cannot be written before the work is done."""
    if file.is_dir() or not file.parent.is_dir():
        raise UsageError(f"{option} {file} cannot be written: name a file in a folder that exists.")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {file} cannot be written: nothing may be written in {file.parent}/, name another.")


def unused(folder: Path) -> Path:
    """The folder itself where nothing is there yet, else with the first free number from 2.

    Example:
        >>> import tempfile
        >>> runs = Path(tempfile.mkdtemp())
        >>> (runs / "demo").mkdir()
        >>> unused(runs / "demo").name
        'demo-2'
    """
    number, free = 2, folder
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free


def main() -> None:
    """Run the command line; an error of ours is one sentence and its own exit code."""
    logging.basicConfig(format="%(message)s")
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="setpiece")
    except SystemExit as end:
        if end.code == 130:  # Typer's for an interrupt
            print("Stopped.", file=sys.stderr)
        raise
    except Exception as error:
        if debug:
            raise
        message, code = f"{type(error).__name__}: {error} (run again with --debug to see where)", 1
        if isinstance(error, SetpieceError):
            message, code = str(error), error.exit_code
        print("Error:", *message.splitlines(), file=sys.stderr)
        sys.exit(code)


if __name__ == "__main__":
    main()
