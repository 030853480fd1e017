"""The two layouts in which DETR checkpoints are published, as a renaming of our own parameters.

`original` is the layout of facebookresearch/detr (the `.pth` files), `transformers` that of the hub's safetensors.
Each is one table that turns our name of a parameter into theirs. A checkpoint must hold exactly the parameters of
our model under these names. So no tensor is ignored and no parameter stays random without an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from setpiece.errors import WeightsError

__all__ = [
    "class_names",
    "coco_names",
    "drop_unused_classes",
    "from_original",
    "from_transformers",
    "infer_preset",
    "is_dilated",
    "original_name",
    "require_same_names",
    "to_transformers",
    "transformers_name",
]

State = Mapping[str, Tensor]

_BOX_HEAD = tuple((rf"^box_head\.{2 * i}\.", f"box_head.layers.{i}.") for i in range(3))

_TRANSFORMERS = (
    *_BOX_HEAD,
    (r"^box_head\.", "bbox_predictor."),
    (r"^class_head\.", "class_labels_classifier."),
    (r"^queries\.", "query_position_embeddings."),
    (r"^backbone\.", "backbone.conv_encoder.model."),
    (r"^(backbone|input_projection|query_position_embeddings|encoder|decoder)\.", r"model.\1."),
    (r"\.decoder\.norm\.", ".decoder.layernorm."),
    (r"\.self_attention_norm\.", ".self_attn_layer_norm."),
    (r"\.cross_attention_norm\.", ".encoder_attn_layer_norm."),
    (r"\.feed_forward_norm\.", ".final_layer_norm."),
    (r"\.self_attention\.", ".self_attn."),
    (r"\.cross_attention\.", ".encoder_attn."),
    (r"\.query\.", ".q_proj."),
    (r"\.key\.", ".k_proj."),
    (r"\.value\.", ".v_proj."),
    (r"\.output\.", ".out_proj."),
    (r"\.feed_forward\.0\.", ".fc1."),
    (r"\.feed_forward\.3\.", ".fc2."),
)

_ORIGINAL = (
    *_BOX_HEAD,
    (r"^box_head\.", "bbox_embed."),
    (r"^class_head\.", "class_embed."),
    (r"^queries\.", "query_embed."),
    (r"^backbone\.", "backbone.0.body."),
    (r"^input_projection\.", "input_proj."),
    (r"^(encoder|decoder)\.", r"transformer.\1."),
    (r"\.self_attention_norm\.", ".norm1."),
    (r"\.cross_attention_norm\.", ".norm2."),
    (r"(\.encoder\..*)\.feed_forward_norm\.", r"\1.norm2."),
    (r"(\.decoder\..*)\.feed_forward_norm\.", r"\1.norm3."),
    (r"\.self_attention\.", ".self_attn."),
    (r"\.cross_attention\.", ".multihead_attn."),
    (r"\.(query|key|value)\.(weight|bias)$", r".in_proj_\2[\1]"),
    (r"\.output\.", ".out_proj."),
    (r"\.feed_forward\.0\.", ".linear1."),
    (r"\.feed_forward\.3\.", ".linear2."),
)


def transformers_name(name: str) -> str:
    """Our name of a DETR parameter as the `transformers` layout has it.

    Example:
        >>> transformers_name("decoder.layers.5.cross_attention.query.weight")
        'model.decoder.layers.5.encoder_attn.q_proj.weight'
    """
    return _rename(name, _TRANSFORMERS)


def original_name(name: str) -> str:
    """Our name of a DETR parameter as the original layout has it, with the third of a packed projection it is.

    Example:
        >>> original_name("decoder.layers.5.cross_attention.query.weight")
        'transformer.decoder.layers.5.multihead_attn.in_proj_weight[query]'
    """
    return _rename(name, _ORIGINAL)


def from_transformers(state: State, names: Iterable[str], source: str) -> dict[str, Tensor]:
    """Read a checkpoint in the `transformers` layout.

    Args:
        state: its tensors.
        names: the parameters of our model; the checkpoint must hold them all.
        source: what to call the checkpoint in an error.

    Returns:
        The same tensors under our names.

    Raises:
        WeightsError: a tensor is missing, or one has no place in the model.
    """
    return _translate(state, names, transformers_name, source)


def from_original(state: State, names: Iterable[str], source: str) -> dict[str, Tensor]:
    """Read a checkpoint in the original layout, whose attention packs query, key and value into one matrix.

    Args, Returns and Raises are those of `from_transformers`.
    """
    unpacked: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if ".in_proj_" in name:
            thirds = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            unpacked.update((f"{name}[{part}]", third.clone()) for part, third in thirds)
        else:
            unpacked[name] = tensor
    return _translate(unpacked, names, original_name, source)


def to_transformers(state: State) -> dict[str, Tensor]:
    """Write the parameters of our DETR in the layout that `DetrForObjectDetection.from_pretrained` reads.

    Save them as `model.safetensors` (with the metadata `{"format": "pt"}`) beside a `config.json` that
    `transformers.DetrConfig` writes.
    """
    return {transformers_name(name): tensor.contiguous() for name, tensor in state.items()}


def infer_preset(state: State, *, dilation: bool) -> str:
    """Tell which of the paper's presets a published checkpoint is, by the depth of its `layer3`.

    Args:
        state: its tensors, in either layout.
        dilation: whether `layer4` is dilated (DC5), which cannot be seen in the weights.
    """
    depth = "r101" if any("layer3.22." in name for name in state) else "r50"
    return f"detr-{depth}-dc5" if dilation else f"detr-{depth}"


def is_dilated(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` of `transformers` asks for DC5, in the present or a former spelling."""
    backbone = config.get("backbone_config")
    return bool(config.get("dilation")) or (isinstance(backbone, dict) and backbone.get("output_stride") == 16)


def class_names(config: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """The class names in order, from the `id2label` of a `config.json` of `transformers`.

    Raises:
        WeightsError: it does not number the classes 0, 1, 2, …
    """
    labels = config.get("id2label")
    if not isinstance(labels, dict) or labels.keys() != {str(i) for i in range(len(labels))}:
        raise WeightsError(f"{file} does not name the classes 0, 1, 2, … in id2label.")
    return tuple(str(labels[str(i)]) for i in range(len(labels)))


def coco_names() -> tuple[str, ...]:
    """The 91 names that the original checkpoints count classes by: COCO's category ids, 11 of them unused."""
    return tuple(FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])


def drop_unused_classes(state: State, names: Sequence[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Remove the "N/A" classes: gaps in COCO's category ids, for which no object was ever labelled.

    The logits of the other classes stay what they are; no detection is named "N/A".

    Args:
        state: tensors under our names, with a class head of `len(names)` + 1 rows.
        names: the class of each row but the last.

    Returns:
        The tensors with a class head of the used classes, and their names.
    """
    used = [i for i, name in enumerate(names) if name not in ("N/A", "__background__")]
    rows = torch.tensor([*used, len(names)])
    head = {name: state[name][rows] for name in ("class_head.weight", "class_head.bias")}
    return {**state, **head}, tuple(names[i] for i in used)


def require_same_names(expected: Iterable[str], found: Iterable[str], source: str) -> None:
    """Raise `WeightsError` unless a checkpoint holds exactly the tensors that the model has.

    Counters of batches (`num_batches_tracked`) are left out knowingly where the model does not ask for them.
    """
    expected, found = set(expected), set(found)
    missing = sorted(expected - found)
    unexpected = sorted(n for n in found - expected if not n.endswith(".num_batches_tracked"))
    complaints = [
        f"{kind} {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        for kind, names in (("lacks", missing), ("has no place for", unexpected))
        if names
    ]
    if complaints:
        raise WeightsError(f"{source} is not a checkpoint of this model: {'; '.join(complaints)}.")


def _translate(state: State, names: Iterable[str], their_name: Callable[[str], str], source: str) -> dict[str, Tensor]:
    theirs = {name: their_name(name) for name in names}
    require_same_names(theirs.values(), state, source)
    return {ours: state[their] for ours, their in theirs.items()}


def _rename(name: str, table: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in table:
        name = re.sub(pattern, replacement, name)
    return name
