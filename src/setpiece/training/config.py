"""What a training run does: the settings that a person gives, completed by the recipe of the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
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
from setpiece.model.checkpoint import load
from setpiece.model.presets import presets


@dataclass(frozen=True)
class Recipe:
    """How a model is trained unless the user says otherwise.

    Attributes:
        batch_size: images per step over all processes.
        learning_rate: of everything but the CNN, after warm-up.
        backbone_learning_rate: of the CNN; where the user gives `learning_rate` alone, it keeps its share of that.
        weight_decay: on matrices and convolutions only.
        clip_norm: the largest gradient norm; larger ones are scaled down to it.
        warmup_steps: over which the learning rates rise linearly; at most a twentieth of the run.
        ema_decay: of the averaged weights that are evaluated and shipped, after its own warm-up.
        beta2: of AdamW: how slowly its estimate of the gradient's size follows.
        optimiser: "adamw" for everything, or "muon" for the matrices within the network (AdamW trains the rest).
        augmentation: "paper" (resize, crop, colour) or "canvas" (placement, colour; square batches).
        orientations: in which images are shown: "all" eight, "mirrored" or not, or "upright" alone, where classes would
            be taken for each other: 6 and 9, left and right.
        train_scale: share of the input size that images have in training, in (0, 1]; see `InputSize.scaled`. Below 1 a
            step is cheaper, and evaluation shows more pixels than training did (compare Touvron et al., arXiv
            1906.06423).
        first_scale: share of that size which images have at first, in (0, 1]; it grows over the run
            (`schedule.image_scale`). Below 1 there are more, coarser steps early.
        one_to_many_weight: of the one-to-many box loss (`setloss.one_to_many_box_loss`), in the first three quarters of
            a run.
    """

    batch_size: int
    learning_rate: float
    backbone_learning_rate: float
    weight_decay: float
    clip_norm: float
    warmup_steps: int
    ema_decay: float
    beta2: float = 0.999
    optimiser: Literal["adamw", "muon"] = "adamw"
    augmentation: Literal["paper", "canvas"] = "paper"
    orientations: Orientations = "mirrored"
    train_scale: float = 1.0
    first_scale: float = 1.0
    one_to_many_weight: float = 0.0


def paper_recipe() -> Recipe:
    """Carion et al. 2020, section 4: AdamW 1e-4, CNN 1e-5, weight decay 1e-4, gradients clipped at 0.1."""
    return Recipe(16, 1e-4, 1e-5, 1e-4, clip_norm=0.1, warmup_steps=0, ema_decay=0.999)


def from_scratch_recipe() -> Recipe:
    """For a small model whose CNN starts from random weights: one, larger, learning rate for all of it."""
    return Recipe(16, 5e-4, 5e-4, 1e-4, clip_norm=0.1, warmup_steps=200, ema_decay=0.998)


def sprint_recipe() -> Recipe:
    """For `sprint` from scratch: as many steps as the minutes allow, at a high learning rate.

    Chosen where a step is dearest: two CPU cores without bfloat16.
    """
    return Recipe(
        batch_size=8,
        learning_rate=2.5e-3,
        backbone_learning_rate=2.5e-3,
        weight_decay=0.05,
        clip_norm=1.0,
        warmup_steps=100,
        ema_decay=0.998,
        beta2=0.99,
        optimiser="muon",
        augmentation="canvas",
        orientations="all",
        train_scale=0.8,
        first_scale=0.6,
        one_to_many_weight=1.0,
    )


def sprint_finetuning_recipe() -> Recipe:
    """For `sprint` on a CNN that starts from ImageNet weights: larger batches, and a tenth of the rate for the CNN.

    Chosen on two CPU cores, in runs of three minutes and with the rest of the recipe as it was before near queries; not
    measured in long runs or on a GPU.
    """
    return replace(sprint_recipe(), batch_size=16, learning_rate=1.4e-3, backbone_learning_rate=1.4e-4, train_scale=0.9)


def recipe_of(model: str, backbone: str | None = None, *, pretrained: bool = True) -> Recipe:
    """The recipe of a preset, or of the preset that a checkpoint was built by.

    Args:
        model: as in `TrainConfig`, like the others, which say nothing of a checkpoint.

    Raises:
        UsageError: there is neither a preset nor a checkpoint of that name.
        WeightsError: the checkpoint cannot be read.
    """
    preset = model
    if model not in presets():
        checkpoint = load(model)
        preset, backbone, pretrained = checkpoint.preset, checkpoint.backbone, True
    if preset.startswith("sprint"):
        return sprint_finetuning_recipe() if starts_from_imagenet(preset, backbone, pretrained) else sprint_recipe()
    return from_scratch_recipe() if preset == "detr-tiny" else paper_recipe()


def starts_from_imagenet(preset: str, backbone: str | None, pretrained: bool) -> bool:
    """Whether the CNN of a new model starts from ImageNet weights: a named network has some, a preset's own may."""
    return pretrained and (backbone is not None or presets()[preset].pretrained)


class TrainConfig(BaseModel):
    """The resolved configuration of a run, written into its folder as `run.json`.

    Attributes:
        data: folder of the data set.
        model: preset, checkpoint folder or file, or hub id.
        epochs: passes over the training images; either this or `minutes`.
        minutes: of training. Augmentation counts; decoding the images once beforehand, and evaluation, do not.
        size: pixels that an image is fitted into: its shorter side, where the model's own two limits differ, else its
            longer side. The model's own where None.
        backbone: the CNN of a `sprint` preset by name, see `model.named`; the preset's own where None.
        workers: processes that load images ahead; `data.loading_processes` where None.
        evaluations: how often the validation images are evaluated, evenly over the run.
        precision: "auto" takes bfloat16 where the processor or GPU computes in it.
        pretrained: start the CNN from ImageNet weights where the preset has some.
        (the others: see `Recipe`)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: Path
    model: str
    backbone: str | None = None
    epochs: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    size: PositiveInt | None = None
    seed: NonNegativeInt = 0
    workers: NonNegativeInt | None = None
    evaluations: PositiveInt = 10
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    pretrained: bool = True

    batch_size: PositiveInt
    learning_rate: PositiveFloat
    backbone_learning_rate: NonNegativeFloat
    weight_decay: NonNegativeFloat
    clip_norm: PositiveFloat
    warmup_steps: NonNegativeInt
    ema_decay: float = Field(ge=0, lt=1)
    beta2: float = Field(gt=0, lt=1)
    optimiser: Literal["adamw", "muon"]
    augmentation: Literal["paper", "canvas"]
    orientations: Orientations
    train_scale: float = Field(gt=0, le=1)
    first_scale: float = Field(gt=0, le=1)
    one_to_many_weight: NonNegativeFloat

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError("give either epochs or minutes")
        return self


def resolve(data: str | Path, model: str, **given: Any) -> TrainConfig:
    """Complete what the user gave (None: not given) by the model's recipe, and 50 epochs where no length is given.

    Raises:
        UsageError: a setting is unknown or outside its range.

    Example:
        >>> config = resolve("cells", "detr-tiny", minutes=10, batch_size=4)
        >>> config.batch_size, config.learning_rate, config.epochs
        (4, 0.0005, None)
    """
    settings = {name: value for name, value in given.items() if value is not None}
    if "epochs" not in settings and "minutes" not in settings:
        settings["epochs"] = 50
    try:
        pretrained = TypeAdapter(bool).validate_python(settings.get("pretrained", True))
        recipe = recipe_of(model, settings.get("backbone"), pretrained=pretrained)
        config = TrainConfig(data=Path(data), model=model, **(asdict(recipe) | settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"--{str(part).replace('_', '-')}: " for part in first["loc"])
        raise UsageError(f"{where}{first['msg'].removeprefix('Value error, ')}.") from error
    if "learning_rate" in settings and "backbone_learning_rate" not in settings:
        share = recipe.backbone_learning_rate / recipe.learning_rate
        config = config.model_copy(update={"backbone_learning_rate": share * config.learning_rate})
    return config
