"""The settings of a training run: what the user gives, completed by the recipe of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from setpiece.data.batching import Orientations
from setpiece.errors import UsageError
from setpiece.inference.precision import Precision
from setpiece.model.checkpoint import Checkpoint
from setpiece.model.presets import presets
from setpiece.model.zoo import head_starts
from setpiece.records import STRIDE

__all__ = [
    "Origin",
    "Recipe",
    "TrainConfig",
    "from_scratch_recipe",
    "origin_of",
    "paper_recipe",
    "recipe_of",
    "resolve",
    "sprint_finetuning_recipe",
    "sprint_imagenet_recipe",
    "sprint_recipe",
]

# Random weights, a CNN with ImageNet weights, the packaged weights (`model.zoo`), or weights of the user's.
Origin = Literal["scratch", "ImageNet", "head start", "checkpoint"]


class Recipe(BaseModel):
    """How a model is trained unless the user says otherwise.

    Attributes:
        batch_size: images per step over all processes.
        learning_rate: after warm-up, of everything but the class heads and the CNN.
        class_head_rate: the learning rate of the class heads, as a multiple of `learning_rate`.
        backbone_learning_rate: of the CNN. Where the user gives `learning_rate` alone, the ratio of the two stays.
        weight_decay: of matrices and convolutions only.
        clip_norm: the largest norm of the gradient; a larger gradient is scaled down to it.
        warmup_steps: over which the learning rates rise linearly; at most a twentieth of the run.
        ema_decay: of the EMA weights, which are evaluated and saved; see `optimiser.Ema`.
        beta2: β₂ of AdamW: the decay rate of its running mean of squared gradients.
        optimiser: "adamw" for everything, or "muon" for the matrices within the network and AdamW for the rest.
        augmentation: "paper" (resize, crop, colour) or "canvas" (placement on a canvas, colour; batches of one size).
        augmentation_strength: of "canvas", see `RandomCanvas`; 1 is full, and less changes images less.
        orientations: of the images in augmentation: "all" eight, "mirrored" or not, or "upright" alone. Take "upright"
            where turning or mirroring changes the class: 6 and 9, left and right. "auto" lets the data decide, see
            `choices.choose_orientations`.
        balance: draw images with rare classes more often, see `choices.choose_weights`.
        train_scale: size of training images as a share of the input size, in (0, 1]; see `InputSize.scaled`. Below 1 a
            step is cheaper, and evaluation uses more pixels than training (compare Touvron et al., arXiv 1906.06423).
        first_scale: size of training images at the start, as a share of the size that `train_scale` gives, in (0, 1].
            It grows over the run, see `schedule.image_scale`. Below 1 early steps are cheaper, so there are more.
        one_to_many_weight: of the one-to-many box loss, see `setloss.auxiliary`; 0 for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    batch_size: PositiveInt
    learning_rate: PositiveFloat
    class_head_rate: PositiveFloat = 1.0
    backbone_learning_rate: NonNegativeFloat
    weight_decay: NonNegativeFloat
    clip_norm: PositiveFloat
    warmup_steps: NonNegativeInt
    ema_decay: float = Field(ge=0, lt=1)
    beta2: float = Field(default=0.999, gt=0, lt=1)
    optimiser: Literal["adamw", "muon"] = "adamw"
    augmentation: Literal["paper", "canvas"] = "paper"
    augmentation_strength: float = Field(default=1.0, ge=0, le=1)
    orientations: Orientations | Literal["auto"] = "mirrored"
    balance: bool = False
    train_scale: float = Field(default=1.0, gt=0, le=1)
    first_scale: float = Field(default=1.0, gt=0, le=1)
    one_to_many_weight: NonNegativeFloat = 0.0


def paper_recipe() -> Recipe:
    """Carion et al. 2020, section 4: AdamW 1e-4, CNN 1e-5, weight decay 1e-4, gradients clipped at 0.1."""
    return Recipe(
        batch_size=16,
        learning_rate=1e-4,
        backbone_learning_rate=1e-5,
        weight_decay=1e-4,
        clip_norm=0.1,
        warmup_steps=0,
        ema_decay=0.999,
    )


def from_scratch_recipe() -> Recipe:
    """For a small model whose CNN starts from random weights: one larger learning rate for the whole model."""
    return Recipe(
        batch_size=16,
        learning_rate=5e-4,
        backbone_learning_rate=5e-4,
        weight_decay=1e-4,
        clip_norm=0.1,
        warmup_steps=200,
        ema_decay=0.998,
    )


def sprint_recipe() -> Recipe:
    """For `sprint` from scratch: as many steps as the time allows, at a high learning rate.

    Chosen on two CPU cores without bfloat16, where a step costs the most time.
    """
    return Recipe(
        batch_size=8,
        learning_rate=2.5e-3,
        class_head_rate=4.0,
        backbone_learning_rate=2.5e-3,
        weight_decay=0.05,
        clip_norm=1.0,
        warmup_steps=100,
        ema_decay=0.998,
        beta2=0.99,
        optimiser="muon",
        augmentation="canvas",
        orientations="auto",
        balance=True,
        train_scale=0.8,
        first_scale=0.6,
        one_to_many_weight=1.0,
    )


def sprint_finetuning_recipe() -> Recipe:
    """For `sprint` whose weights know objects: the packaged ones, or a checkpoint of the user's.

    Images change half as much in augmentation. Chosen in runs of one minute.
    """
    return sprint_recipe().model_copy(update={"augmentation_strength": 0.5})


def sprint_imagenet_recipe() -> Recipe:
    """For `sprint` with a CNN that starts from ImageNet weights: larger batches, and a tenth of the rate for the CNN.

    Chosen on two CPU cores in runs of three minutes, before the recipe had the one-to-many box loss. Not measured in
    long runs or on a GPU.
    """
    changed = {"batch_size": 16, "learning_rate": 1.4e-3, "backbone_learning_rate": 1.4e-4, "train_scale": 0.9}
    return sprint_recipe().model_copy(update=changed)


def origin_of(preset: str, backbone: str | None = None, *, pretrained: bool = True) -> Origin:
    """What a new model starts from.

    Args:
        preset: its name.
        backbone: name of the CNN that replaces the preset's own; None for the preset's own.
        pretrained: whether it starts from trained weights where there are some.
    """
    if pretrained and backbone is None and preset in head_starts():
        return "head start"
    if pretrained and (backbone is not None or presets()[preset].pretrained):
        return "ImageNet"
    return "scratch"


def recipe_of(preset: str, origin: Origin) -> Recipe:
    """The recipe of a preset whose weights start from `origin`."""
    match presets()[preset].recipe, origin:
        case "paper", _:
            return paper_recipe()
        case "small", _:
            return from_scratch_recipe()
        case _, "scratch":
            return sprint_recipe()
        case _, "ImageNet":
            return sprint_imagenet_recipe()
        case _:
            return sprint_finetuning_recipe()


class TrainConfig(Recipe):
    """All settings of a run: those of the recipe, and these.

    Attributes:
        data: folder of the data set.
        model: what the run starts from: a preset, or the name of a checkpoint (its folder, file or hub id).
        backbone: the CNN of a `sprint` preset by name, see `model.backbones.named`; the preset's own where None.
        epochs: passes over the training images; either this or `minutes`.
        minutes: of training. Augmentation counts; decoding the images once beforehand, and evaluation, do not.
        size: pixels that an image is fitted into, at least 64: its shorter side, where the model's own two limits
            differ, else its longer side. The model's own where None.
        queries: the most objects that can be found in an image, of a model that chooses its queries in each image
            ("top-k"); where None, see `choices.choose_queries`.
        seed: of the new weights, the order of the images, augmentation and dropout.
        workers: processes that load images ahead; `data.batching.loading_processes` where None.
        accumulate: shares in which a step computes its batch, one after the other: more take less memory and a third
            more time, and the gradient stays that of the whole batch, see `shares`. Where memory runs out, one process
            takes more by itself.
        cuda_graphs: capture steps in CUDA graphs, one for each size of images and number of targets, see `cuda_graphs`.
            On an NVIDIA GPU, in one process.
        evaluations: how often the validation images are evaluated, evenly over the run.
        patience: evaluations with a lower AP after the best one at which the run ends; never before its end where None.
            The learning rate is then still high, so a shorter run is often the better choice.
        precision: "auto" takes bfloat16 where the processor or GPU computes in it.
        tracker: an experiment tracker that is told of settings and metrics, beside TensorBoard: "wandb" or "mlflow".
        pretrained: start a preset from trained weights where there are some: those of the package, else the CNN from
            ImageNet weights.
    """

    data: Path
    model: str
    backbone: str | None = None
    epochs: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    size: int | None = Field(default=None, ge=2 * STRIDE)
    queries: PositiveInt | None = None
    seed: NonNegativeInt = 0
    workers: NonNegativeInt | None = None
    accumulate: PositiveInt = 1
    cuda_graphs: bool = False
    evaluations: PositiveInt = 10
    patience: PositiveInt | None = None
    precision: Precision = "auto"
    tracker: Literal["wandb", "mlflow"] | None = None
    pretrained: bool = True

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError("give either epochs or minutes")
        return self

    def to_dict(self) -> dict[str, Any]:
        """The settings ready for JSON, those of the recipe last."""
        settings = self.model_dump(mode="json")
        return {name: settings[name] for name in settings if name not in Recipe.model_fields} | settings


def resolve(data: str | Path, model: str, checkpoint: Checkpoint | None = None, **given: Any) -> TrainConfig:
    """Complete the user's settings with those of the recipe. The default length is 50 epochs.

    Args:
        data: folder of the data set.
        model: a preset, or the name of `checkpoint`.
        checkpoint: what the run starts from; None for a new model of the preset.
        given: fields of `TrainConfig`; None stands for one that is not given.

    Raises:
        UsageError: a setting is unknown or outside its range, or there is no such preset.

    Example:
        >>> config = resolve("cells", "detr-tiny", minutes=10, batch_size=4)
        >>> config.batch_size, config.learning_rate, config.epochs
        (4, 0.0005, None)
    """
    settings = {name: value for name, value in given.items() if value is not None}
    if "epochs" not in settings and "minutes" not in settings:
        settings["epochs"] = 50
    try:
        recipe = _recipe_for(model, checkpoint, settings)
        config = TrainConfig(data=Path(data), model=model, **(dict(recipe) | settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"--{str(part).replace('_', '-')}: " for part in first["loc"])
        raise UsageError(f"{where}{first['msg'].removeprefix('Value error, ')}.") from error
    if "learning_rate" in settings and "backbone_learning_rate" not in settings:
        share = recipe.backbone_learning_rate / recipe.learning_rate
        config = config.model_copy(update={"backbone_learning_rate": share * config.learning_rate})
    return config


def _recipe_for(model: str, checkpoint: Checkpoint | None, settings: dict[str, Any]) -> Recipe:
    if checkpoint is not None:
        if "backbone" in settings:
            raise UsageError(f"{model} has a backbone already: --backbone goes with a preset.")
        if not TypeAdapter(bool).validate_python(settings.get("pretrained", True)):
            raise UsageError(f"{model} has trained weights: --from-scratch goes with a preset.")
        made_for_imagenet = checkpoint.backbone is not None or presets()[checkpoint.preset].pretrained
        return recipe_of(checkpoint.preset, "ImageNet" if made_for_imagenet else "checkpoint")
    if model not in presets():
        raise UsageError(f"There is no preset {model!r}: choose one of {', '.join(presets())}.")
    pretrained = TypeAdapter(bool).validate_python(settings.get("pretrained", True))
    return recipe_of(model, origin_of(model, settings.get("backbone"), pretrained=pretrained))
