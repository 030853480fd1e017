"""`setpiece train`, and `setpiece demo`, which runs every step on a data set that it draws."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpiece.cli.app import app, console, unused
from setpiece.errors import SetpieceError, StoppedError, UsageError

if TYPE_CHECKING:
    from setpiece.training.result import TrainingResult

__all__ = ["demo", "train"]


@app.command()
def train(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Folder of a data set: COCO, YOLO or Pascal VOC.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="What to start from: the name of a preset, or a checkpoint to fine-tune.")
    ] = "sprint-n",
    epochs: Annotated[
        int | None, typer.Option(help="Length of the run in passes over the training images.  \\[default: 50]")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Length of the run in minutes of training, in place of --epochs.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run.  \\[default: runs/DATA-MODEL]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --output where it was stopped.")
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Another CNN for a sprint preset, torchvision/NAME or timm/NAME, to start from its ImageNet weights."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Input size in pixels. Take more where objects are small; a step then takes longer.  \\[default: the "
            "preset's]"
        ),
    ] = None,
    batch_size: Annotated[
        str,
        typer.Option(
            help="Images per step, over all processes. auto takes those of the recipe, for which its learning rate is "
            "made, and divides a step where memory runs out."
        ),
    ] = "auto",
    accumulate: Annotated[
        int | None,
        typer.Option(
            help="Compute each step in so many shares, one after the other: less memory, the same gradient, a third "
            "more time. Where memory runs out, a step is divided by itself.  \\[default: 1]"
        ),
    ] = None,
    cuda_graphs: Annotated[
        bool,
        typer.Option(
            "--cuda-graphs",
            help="Capture steps in CUDA graphs, so that a GPU need not wait for Python. More memory; for images of few "
            "sizes, as sprint has them.",
        ),
    ] = False,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="After warm-up. Use a lower one if the loss becomes NaN. The CNN's rate changes with it."),
    ] = None,
    backbone_learning_rate: Annotated[float | None, typer.Option(help="Learning rate of the CNN alone.")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="How strongly weights are pulled to 0; more where the model overfits.")
    ] = None,
    clip_norm: Annotated[
        float | None, typer.Option(help="Largest norm of the gradient: a larger gradient is scaled down to it.")
    ] = None,
    orientations: Annotated[
        str | None,
        typer.Option(
            help="Orientations used in augmentation: all (eight), mirrored or upright. Use upright if turning or "
            "mirroring changes the class, as with 6 and 9. auto decides by the data, and says why.  \\[default: auto "
            "for sprint, mirrored for DETR]"
        ),
    ] = None,
    balance: Annotated[
        bool | None,
        typer.Option(
            help="Draw images with rare classes more often.  \\[default: balance for sprint, no-balance for DETR]"
        ),
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option(
            help="The most objects that can be found in an image, for sprint.  \\[default: by the densest image, at "
            "least the preset's]"
        ),
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(help="Number of evaluations, evenly spread over the run.  \\[default: 10]")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="End the run after so many evaluations in a row without a higher AP.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="auto, bf16 or fp32: auto uses bfloat16 where the hardware has it.  \\[default: auto]"),
    ] = None,
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained/--from-scratch",
            help="Start a preset from trained weights where there are some: those of this package (sprint-n), or "
            "ImageNet weights of the CNN (sprint-s, sprint-m, detr-r50, ...).",
        ),
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that load images ahead.  \\[default: none on a CPU, up to 8 with a GPU]"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Random seed. Runs that differ only in the seed show how much is chance.  \\[default: 0]"),
    ] = None,
    tracker: Annotated[
        str | None,
        typer.Option(
            help="Beside TensorBoard, also tell an experiment tracker of settings and metrics: wandb (Weights & "
            "Biases) or mlflow, if it is installed."
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="CAPTURE", help="Train on nothing: compute the step again that a run captured when it diverged."
        ),
    ] = None,
) -> None:
    """Train a detector on a data set."""
    if replay is not None:
        _replay(replay)
        return
    if data is None:
        raise UsageError("Say which data to train on: setpiece train DATA.")
    from setpiece.model.checkpoint import load_unless_preset
    from setpiece.training.config import resolve
    from setpiece.training.display import Display
    from setpiece.training.start import start_training

    if resume and output is None:
        raise UsageError("--resume continues the run in --output: say which folder that is.")
    if output is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("Several processes have to agree on the folder of the run: give --output.")
    checkpoint = load_unless_preset(model)
    config = resolve(
        data,
        model,
        checkpoint,
        epochs=epochs,
        minutes=minutes,
        backbone=backbone,
        size=size,
        batch_size=None if batch_size == "auto" else batch_size,
        accumulate=accumulate,
        cuda_graphs=cuda_graphs,
        learning_rate=learning_rate,
        backbone_learning_rate=backbone_learning_rate,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        orientations=orientations,
        balance=balance,
        queries=queries,
        evaluations=evaluations,
        patience=patience,
        precision=precision,
        pretrained=pretrained,
        workers=workers,
        seed=seed,
        tracker=tracker,
    )
    folder = output or unused(Path("runs") / f"{data.resolve().name}-{Path(model).name}")
    result = start_training(config, folder, checkpoint, resume=resume, display=Display(console))
    if os.environ.get("RANK", "0") == "0":
        _evaluate(result, folder, config.data)
        _summarise(result, folder)


def _replay(folder: Path) -> None:
    from setpiece.training.replay import replay

    done = replay(folder)
    if done.differs:
        console.print(f"On other software or another machine: {done.differs}.", soft_wrap=True, highlight=False)
    said = f"In the run: {done.then}\nThis time:  {done.now or 'every number was finite.'}"
    console.print(said, soft_wrap=True, highlight=False)
    if done.now != done.then:
        raise SetpieceError("The captured step did not come out as in the run.")


@app.command()
def demo(
    minutes: Annotated[float, typer.Option(help="Minutes of training.")] = 3.0,
    output: Annotated[Path | None, typer.Option(help="Folder of the run.  \\[default: runs/demo]")] = None,
) -> None:
    """Draw a small data set, train on it, evaluate, predict, explain: every step in a few minutes."""
    from setpiece.data.scenes import write_scenes
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.inference.files import predict_files
    from setpiece.inference.sources import find_images
    from setpiece.training.config import resolve
    from setpiece.training.display import Display
    from setpiece.training.start import start_training

    folder = output or unused(Path("runs") / "demo")
    scenes = folder.parent / "scenes"
    # At up to 256 px in training, as the scenes are. From scratch, since the packaged weights have seen such scenes.
    config = resolve(scenes, "sprint-n", minutes=minutes, size=320, pretrained=False)
    console.print("Drawing a data set of textured scenes with overlapping shapes ...")
    write_scenes(scenes)
    console.print("Training from scratch: the packaged weights have seen drawn scenes, so they would show too much.")
    try:
        result = start_training(config, folder, display=Display(console))
    except StoppedError as error:
        raise StoppedError(
            f"Stopped before the demo was done; {folder}/ holds what there is.", error.exit_code - 128
        ) from error
    files = find_images([str(scenes / "valid")])[:24]
    detector = Detector(result.folder, result.checkpoint)
    predict_files(detector.detecting(), files, folder / "predictions", threshold=0.5)
    explanation = detector.explain_dataset(open_dataset(scenes, "valid"))
    if (evaluated := _evaluate(result, folder, scenes)) is not None:
        explanation = explanation.evaluated(evaluated)
    explanation.to_html(folder / "report.html")
    _summarise(result, folder)
    console.print(
        f"  data set     {scenes}/\n  predictions  {folder / 'predictions'}/ (of held-out scenes)\n"
        f"  report       {folder / 'report.html'} (who was matched with whom, and why: open it in a browser)",
        soft_wrap=True,
        highlight=False,
    )


def _evaluate(result: TrainingResult, folder: Path, data: Path) -> dict[str, Any] | None:
    """Evaluate the best checkpoint: write its page into the run, print it in a few lines, and return the payload.

    None where there are no validation images.
    """
    from setpiece.cli.results import write_page
    from setpiece.detector import Detector
    from setpiece.inference.next_steps import next_steps
    from setpiece.runs.layout import RunFolder
    from setpiece.training.start import open_data

    _, valid = open_data(data)
    if result.metrics is None or valid is None:
        return None
    detector = Detector(result.folder, result.checkpoint)
    found = detector.analyse(valid)
    steps = next_steps(found, valid, detector.detecting().size, history=RunFolder(folder).ap_history())
    console.print(found.metrics.table())
    for line in [*found.lines(), *(f"- {step}" for step in steps)]:
        console.print(line, soft_wrap=True, highlight=False)
    return write_page(RunFolder(folder).evaluation, found, valid, f"{folder.name} on {valid.root.name} (valid)", steps)


def _summarise(result: TrainingResult, folder: Path) -> None:
    from setpiece.runs.layout import RunFolder

    run = RunFolder(folder)
    pictures = f"\n  pictures     {run.pictures}/ (ground truth beside predictions)" if run.pictures.is_dir() else ""
    console.print(
        f"Results:\n  checkpoint   {result.folder}/\n  metrics      {run.metrics}, and: tensorboard --logdir "
        f"{run.path}{pictures}",
        soft_wrap=True,
        highlight=False,
    )
