"""Any convolutional network of torchvision or timm that has maps of stride 8, 16 and 32, by its name."""

from __future__ import annotations

from typing import Any, cast

import torch
import torchvision
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from setpiece.errors import UsageError, WeightsError
from setpiece.model.backbones.multi_scale import PyramidBackbone
from setpiece.model.backbones.single_scale import imagenet_weights

__all__ = ["TimmPyramid", "TorchvisionPyramid", "named_pyramid", "synchronise_norms"]

STRIDES = (8, 16, 32)
PROBE = (64, 96)  # height and width of a test image: the smallest whose three maps differ in size from pooled ones


def named_pyramid(name: str) -> PyramidBackbone:
    """Build a backbone with random weights.

    Args:
        name: `"torchvision/mobilenet_v3_large"`, `"timm/convnext_atto"`: the library, and its own name for the network.

    Raises:
        UsageError: no such network, timm is not installed, or the network has no maps of stride 8, 16 and 32.

    Example:
        >>> named_pyramid("torchvision/mobilenet_v3_small").channels
        (96, 288, 576)
    """
    library, _, network = name.partition("/")
    if library == "torchvision":
        return TorchvisionPyramid(network)
    if library == "timm":
        return TimmPyramid(network)
    raise UsageError(f"The backbone {name!r} is not understood: write torchvision/NAME or timm/NAME.")


class TorchvisionPyramid(PyramidBackbone):
    """The last map of each stride in one of torchvision's classification networks."""

    def __init__(self, network: str) -> None:
        super().__init__()
        if network not in list_models(module=torchvision.models):  # those that classify
            raise UsageError(f"torchvision has no network {network!r}.")
        self.network = network
        full = get_model(network, weights=None).eval()
        nodes = get_graph_node_names(full, suppress_diff_warning=True)[1]
        try:
            outputs = create_feature_extractor(full, nodes, suppress_diff_warning=True)(torch.zeros(1, 3, *PROBE))
        except (AssertionError, RuntimeError, ValueError) as error:  # such as a transformer of one fixed size
            raise UsageError(_no_maps(network)) from error
        strides = {_shape(stride): stride for stride in STRIDES}
        last = {
            strides[out.shape[-2:]]: node
            for node, out in outputs.items()
            if isinstance(out, Tensor) and out.ndim == 4 and out.shape[-2:] in strides
        }
        if set(last) != set(STRIDES):
            raise UsageError(_no_maps(network))
        self.channels = (outputs[last[8]].shape[1], outputs[last[16]].shape[1], outputs[last[32]].shape[1])
        self.body = create_feature_extractor(full, [last[s] for s in STRIDES], suppress_diff_warning=True).train()
        weights = get_model_weights(network)["DEFAULT"].transforms()
        self.mean, self.std = tuple(weights.mean), tuple(weights.std)
        if hasattr(full, "transform_input"):  # published with a layer before the first that halves ImageNet's range
            self.mean = self.std = (0.5, 0.5, 0.5)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The maps of stride 8, 16 and 32."""
        return list(self.body(images).values())

    def load_imagenet(self) -> None:
        """Load torchvision's best ImageNet weights.

        Raises:
            WeightsError: they cannot be fetched, or are named otherwise than the network's parameters.
        """
        state = imagenet_weights(self.network, "DEFAULT")
        try:
            self.body.load_state_dict({name: state[name] for name in self.body.state_dict() if name in state})
        except RuntimeError as error:
            raise WeightsError(
                f"torchvision's weights of {self.network} have other names than its parameters: choose timm's of that "
                "name, or train with --from-scratch."
            ) from error


class TimmPyramid(PyramidBackbone):
    """timm's feature maps of one of its networks."""

    def __init__(self, network: str) -> None:
        super().__init__()
        self.network = network
        self.body = _timm_features(network, pretrained=False)
        first, second, third = self.body.feature_info.channels()
        self.channels = (first, second, third)
        self.mean, self.std = self.body.pretrained_cfg["mean"], self.body.pretrained_cfg["std"]
        self._require_maps()

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The maps of stride 8, 16 and 32."""
        maps: list[Tensor] = list(self.body(images))
        return [m.movedim(-1, 1) for m in maps] if getattr(self.body, "output_fmt", None) == "NHWC" else maps

    @torch.no_grad()
    def _require_maps(self) -> None:
        self.eval()  # so that batch norm does not learn from the test image
        try:
            shapes = [tuple(m.shape[1:]) for m in self(torch.zeros(1, 3, *PROBE))]
        except (AssertionError, RuntimeError, ValueError) as error:
            raise UsageError(_no_maps(self.network)) from error
        if shapes != [(c, *_shape(stride)) for c, stride in zip(self.channels, STRIDES, strict=True)]:
            raise UsageError(_no_maps(self.network))
        self.train()

    def load_imagenet(self) -> None:
        """Load the weights that timm fetches for this network.

        Raises:
            WeightsError: they cannot be fetched, or there are none.
        """
        try:
            pretrained = _timm_features(self.network, pretrained=True)
        except Exception as error:  # the hub's client and timm raise many kinds
            raise WeightsError(
                f"timm's weights of {self.network} could not be fetched ({error}): check the network connection, or "
                "train with --from-scratch."
            ) from error
        self.body.load_state_dict(pretrained.state_dict())


def synchronise_norms(model: nn.Module) -> nn.Module:
    """Replace the batch norms of a model by those that take mean and variance over the images of all processes.

    Torch's own conversion would replace timm's norms that hold an activation by norms without one.
    """
    if any(isinstance(part, TimmPyramid) for part in model.modules()):
        from timm.layers.norm_act import convert_sync_batchnorm

        return cast(nn.Module, convert_sync_batchnorm(model))
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(model))


def _timm_features(network: str, *, pretrained: bool) -> Any:
    try:
        import timm
    except ImportError as error:
        raise UsageError(f"The backbone timm/{network} needs timm: pip install 'setpiece[timm]'.") from error
    if not timm.is_model(network):
        raise UsageError(f"timm has no network {network!r}.")
    try:
        features: Any = timm.create_model(network, features_only=True)
        strides = features.feature_info.reduction()
        chosen = [strides.index(stride) for stride in STRIDES]
    except (RuntimeError, ValueError, AttributeError) as error:
        raise UsageError(_no_maps(network)) from error
    return timm.create_model(network, features_only=True, pretrained=pretrained, out_indices=chosen)


def _shape(stride: int) -> torch.Size:
    """(height, width) of the probe's map of a stride."""
    return torch.Size(side // stride for side in PROBE)


def _no_maps(network: str) -> str:
    return (
        f"{network} has no feature maps of stride 8, 16 and 32 for images of any size: choose a convolutional network."
    )
