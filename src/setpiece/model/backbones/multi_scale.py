"""Image -> feature maps of stride 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import ResNet
from torchvision.ops import Conv2dNormActivation

from setpiece.errors import UsageError
from setpiece.model.backbones.single_scale import IMAGENET_MEAN, IMAGENET_STD, imagenet_weights

__all__ = ["PyramidBackbone", "ResNetPyramid", "SmallCNN"]


class PyramidBackbone(nn.Module):
    """A CNN that returns its maps of stride 8, 16 and 32.

    Attributes:
        channels: of each map.
        mean: of RGB in [0, 1], subtracted from the images. ImageNet's, unless the published weights need another.
        std: of RGB, by which the images are divided after that.
    """

    channels: tuple[int, int, int]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def load_imagenet(self) -> None:
        """Start from published ImageNet weights.

        Raises:
            UsageError: none are published for this network.
            WeightsError: they cannot be fetched.
        """
        raise UsageError(f"{type(self).__name__} is trained from scratch: no weights are published for it.")


class SmallCNN(PyramidBackbone):
    """A plain residual network with batch norm, made to be trained from scratch.

    One 7×7 convolution leads to stride 4: finer maps cost the most and help the least. After that 2×2 convolutions
    halve the maps. They take 4/9 of the multiplications of 3×3 ones, and no loss of AP was seen (docs/lab/recipe.md).

    Args:
        stem: channels at stride 4.
        channels: at stride 8, 16 and 32.
        depths: residual 3×3 convolutions at each of these.
    """

    def __init__(self, stem: int, channels: tuple[int, int, int], depths: tuple[int, int, int]) -> None:
        super().__init__()
        self.stem = Conv2dNormActivation(3, stem, kernel_size=7, stride=4)
        self.stages = nn.ModuleList(
            nn.Sequential(
                Conv2dNormActivation(narrow, wide, kernel_size=2, stride=2), *(_Residual(wide) for _ in range(depth))
            )
            for (narrow, wide), depth in zip(pairwise((stem, *channels)), depths, strict=True)
        )
        self.channels = channels

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The maps (B, c, H/8, W/8), (B, c', H/16, W/16) and (B, c'', H/32, W/32)."""
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class ResNetPyramid(PyramidBackbone):
    """torchvision's ResNet without its classifier, made to start from its ImageNet weights; all of it is trained.

    Args:
        resnet: such as `torchvision.models.resnet18`.
    """

    def __init__(self, resnet: Callable[..., ResNet]) -> None:
        super().__init__()
        full = resnet(weights=None)
        self.resnet = resnet
        self.conv1, self.bn1 = full.conv1, full.bn1
        self.relu, self.maxpool = full.relu, full.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = full.layer1, full.layer2, full.layer3, full.layer4
        coarsest = full.fc.in_features
        self.channels = (coarsest // 4, coarsest // 2, coarsest)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The maps of stride 8, 16 and 32."""
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        fine = self.layer2(x)
        middle = self.layer3(fine)
        return [fine, middle, self.layer4(middle)]

    def load_imagenet(self) -> None:
        """Load torchvision's ImageNet weights; raises what `imagenet_weights` raises."""
        self.load_state_dict(imagenet_weights(self.resnet.__name__))


class _Residual(nn.Module):
    """A 3×3 convolution and its norm, added to what comes in. The norm starts at 0, so at first nothing is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.norm(self.convolution(x)))
