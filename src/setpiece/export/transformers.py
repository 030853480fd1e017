"""The paper's DETR -> a folder that `transformers` reads: `DetrForObjectDetection` and `DetrImageProcessor`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors

from setpiece.errors import UsageError
from setpiece.inference.backends import Backend, Canvases, Found, Sizes
from setpiece.inference.model_info import KEY, ModelInfo
from setpiece.model.backbones.single_scale import ResNetBackbone
from setpiece.model.checkpoint import Checkpoint
from setpiece.model.detr import Detr
from setpiece.model.formats.files import CONFIG, WEIGHTS
from setpiece.model.formats.published import to_transformers
from setpiece.model.layers.transformer import DecoderLayer

__all__ = [
    "TRANSFORMERS_FILES",
    "has_transformers_form",
    "is_transformers_export",
    "require_transformers_form",
    "transformers_backend",
    "write_transformers",
]

PROCESSOR = "preprocessor_config.json"
TRANSFORMERS_FILES = {CONFIG, WEIGHTS, PROCESSOR}


def has_transformers_form(checkpoint: Checkpoint) -> bool:
    """Whether `transformers` has this model: it has the paper's DETR on a ResNet."""
    return isinstance(checkpoint.model, Detr) and isinstance(checkpoint.model.backbone, ResNetBackbone)


def is_transformers_export(folder: Path) -> bool:
    """Whether `write_transformers` wrote that folder, so that it may be replaced."""
    try:
        with safe_open(folder / WEIGHTS, "pt") as weights:
            return (folder / PROCESSOR).is_file() and KEY in (weights.metadata() or {})
    except (OSError, SafetensorError):
        return False


def require_transformers_form(checkpoint: Checkpoint, info: ModelInfo) -> None:
    """Refuse what cannot be written.

    Raises:
        UsageError: `transformers` has no such model, or `info` asks for something that its folders do not hold.
    """
    if not has_transformers_form(checkpoint):
        raise UsageError(
            f"transformers has no model like {checkpoint.preset}, only detr-r50, detr-r101 and their dc5 variants: "
            "choose --format onnx, openvino or torch."
        )
    if info.canvas is not None or info.batch is not None or info.precision != "fp32":
        raise UsageError(
            "A folder for transformers takes images of any size and number, in float32: leave out --size, --batch, "
            "--half and --int8."
        )


def write_transformers(checkpoint: Checkpoint, info: ModelInfo, folder: Path) -> None:
    """Write weights, config and image processor into a new folder; the weights have `info` in their metadata.

    Neither `transformers` nor timm is needed. The config is spelt as in the published checkpoints, which every version
    reads, but for `use_pretrained_backbone`: nothing is fetched when the folder is loaded.

    Raises:
        UsageError: see `require_transformers_form`.
    """
    require_transformers_form(checkpoint, info)
    folder.mkdir(parents=True)
    _write_json(folder / CONFIG, _config(checkpoint))
    _write_json(folder / PROCESSOR, _processor(info))
    state = {name: tensor.detach().cpu() for name, tensor in checkpoint.model.state_dict().items()}
    metadata = {"format": "pt", KEY: info.model_dump_json()}
    (folder / WEIGHTS).write_bytes(to_safetensors(to_transformers(state), metadata=metadata))


def transformers_backend(folder: Path, info: ModelInfo) -> Backend:
    """The folder as `transformers` loads and runs it, its image processor included (all but its resizing).

    Raises:
        UsageError: transformers, or timm, from which it takes the CNN, is not installed.
    """
    try:
        import timm  # noqa: F401 (named by the error where it is missing)
        from transformers import DetrForObjectDetection, DetrImageProcessor
    except ImportError as error:
        raise UsageError(
            f"What transformers makes of the folder is verified by transformers and timm, and {error.name} is not "
            "installed: pip install transformers timm, or give --no-verify."
        ) from error
    with _quietly():
        model: Any = DetrForObjectDetection.from_pretrained(folder, local_files_only=True).eval()
        processor: Any = DetrImageProcessor.from_pretrained(folder, local_files_only=True)

    @torch.inference_mode()
    def run(images: Canvases, sizes: Sizes) -> Found:
        crops = [image[:height, :width] for image, (height, width) in zip(images, sizes.tolist(), strict=True)]
        inputs = processor(
            images=crops,
            input_data_format="channels_last",
            do_resize=False,
            pad_size={"height": images.shape[1], "width": images.shape[2]},
            return_tensors="pt",
        )
        # Of every query, whatever its score.
        found = processor.post_process_object_detection(model(**inputs), threshold=-1.0)
        sorted_by_score = [{k: v[one["scores"].argsort(descending=True)] for k, v in one.items()} for one in found]
        boxes, scores, labels = (
            np.stack([one[key].numpy() for one in sorted_by_score]) for key in ("boxes", "scores", "labels")
        )
        return boxes.clip(0, 1), scores, labels

    return Backend("transformers", info, run)


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    model = cast(Detr, checkpoint.model)
    encoder, decoder = model.encoder.layers, model.decoder.layers
    layer = cast(DecoderLayer, decoder[0])
    heads, hidden = layer.self_attention.heads, layer.feed_forward[0].out_features
    return {
        "architectures": ["DetrForObjectDetection"],
        "model_type": "detr",
        "backbone": cast(ResNetBackbone, model.backbone).resnet.__name__,  # timm calls them as torchvision does
        "use_timm_backbone": True,
        "use_pretrained_backbone": False,
        "dilation": checkpoint.preset.endswith("-dc5"),
        "d_model": model.encoder.width,
        "num_queries": model.num_queries,
        "encoder_layers": len(encoder),
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": hidden,
        "decoder_layers": len(decoder),
        "decoder_attention_heads": heads,
        "decoder_ffn_dim": hidden,
        "dropout": layer.dropout.p,
        "attention_dropout": layer.self_attention.dropout,
        "activation_dropout": layer.feed_forward[2].p,
        # No-object is not among them: it is the last row of the class head, there as here.
        "id2label": {str(index): name for index, name in enumerate(checkpoint.classes)},
        "label2id": {name: index for index, name in enumerate(checkpoint.classes)},
    }


def _processor(info: ModelInfo) -> dict[str, Any]:
    return {
        "image_processor_type": "DetrImageProcessor",
        "format": "coco_detection",
        "do_resize": True,
        "size": {"shortest_edge": info.shortest, "longest_edge": info.longest},
        "resample": 2,  # bilinear, in Pillow's numbers
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(info.mean),
        "image_std": list(info.std),
        "do_pad": True,
    }


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the progress of loading a file that lies on the disk."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
