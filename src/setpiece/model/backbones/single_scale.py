"""Image -> feature map: the convolutional networks that DETR reads images with.

A backbone is an `nn.Sequential` that says how many `channels` its feature map has. It knows nothing of padding:
padded pixels are zeros to it, and the mask enters later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models import ResNet, get_model_weights
from torchvision.models.resnet import BasicBlock
from torchvision.ops import FrozenBatchNorm2d

from setpiece.errors import WeightsError

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "ResNetBackbone", "TinyBackbone", "imagenet_weights"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1], with which torchvision's weights were trained
IMAGENET_STD = (0.229, 0.224, 0.225)  # the standard deviation, likewise


class ResNetBackbone(nn.Sequential):
    """torchvision's ResNet up to `layer4`, with frozen batch norm: (B, 3, H, W) -> (B, 2048, H/32, W/32).

    It is made to start from trained weights, as in the paper: the statistics and scales of batch norm are
    constants, and the stem and `layer1` are not trained.

    Args:
        resnet: `torchvision.models.resnet50` or `resnet101`.
        dilation: replace the stride of `layer4` by dilation ("DC5"), for a map of stride 16.

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016 (arXiv 1512.03385).
    """

    channels = 2048

    def __init__(self, resnet: Callable[..., ResNet], *, dilation: bool = False) -> None:
        full = resnet(
            weights=None,
            norm_layer=FrozenBatchNorm2d,
            replace_stride_with_dilation=[False, False, dilation],
        )
        super().__init__(OrderedDict((k, v) for k, v in full.named_children() if k not in ("avgpool", "fc")))
        self.resnet = resnet
        for frozen in (full.conv1, full.layer1):
            frozen.requires_grad_(False)

    def load_imagenet(self) -> None:
        """Load the weights that the paper starts from; raises what `imagenet_weights` raises."""
        self.load_state_dict(imagenet_weights(self.resnet.__name__))


def imagenet_weights(network: str, version: str = "IMAGENET1K_V1") -> dict[str, Tensor]:
    """Fetch torchvision's ImageNet weights of a network, less the classifier of a ResNet.

    Args:
        network: torchvision's name, such as `"resnet50"`.
        version: which of the published weights; `"DEFAULT"` are the best.

    Raises:
        WeightsError: they cannot be fetched.
    """
    weights = get_model_weights(network)[version]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"The ImageNet weights of {network} could not be fetched from {weights.url} ({error}): "
            "check the network, start from a checkpoint that is on this machine, or train with --from-scratch."
        ) from error
    return {k: v for k, v in state.items() if k.split(".")[0] != "fc"}


class TinyBackbone(nn.Sequential):
    """A small residual network with trained batch norm: (B, 3, H, W) -> (B, 4·width, H/16, W/16).

    It is made to be trained from scratch, so nothing in it is frozen.

    Args:
        width: channels at stride 4; they double at stride 8 and again at stride 16.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__(
            OrderedDict(
                stem=nn.Sequential(
                    nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ),
                layer1=_residual_stage(width, width, blocks=1),  # stride 4
                layer2=_residual_stage(width, 2 * width, blocks=2),  # stride 8
                layer3=_residual_stage(2 * width, 4 * width, blocks=2),  # stride 16
            )
        )
        self.channels = 4 * width


def _residual_stage(channels_in: int, channels: int, blocks: int) -> nn.Sequential:
    """Residual blocks of two 3×3 convolutions each, the first of which halves height and width."""
    shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride=2, bias=False), nn.BatchNorm2d(channels))
    halving = BasicBlock(channels_in, channels, stride=2, downsample=shortcut)
    return nn.Sequential(halving, *(BasicBlock(channels, channels) for _ in range(blocks - 1)))
