"""ResNet-18 for waveforms and for images, from one definition."""

from typing import NamedTuple

from torch import Tensor, nn

from clar_sweeps.config import Definition


class _Operations(NamedTuple):
    """The operations of one dimensionality; a square kernel of side k becomes k ** kernel_power.

    stem_kernel: Of the first convolution.
    pool_padding: Of the max pool behind it, whose kernel is 3 ** kernel_power.
    """

    conv: type[nn.Conv1d] | type[nn.Conv2d]
    norm: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]
    max_pool: type[nn.MaxPool1d] | type[nn.MaxPool2d]
    kernel_power: int
    stem_kernel: int
    pool_padding: int


_OPERATIONS_2D = _Operations(
    nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, kernel_power=1, stem_kernel=7, pool_padding=1
)
# Kernels squared and strides left at 2: CLAR (arXiv:2010.09542), section 3.2. 49 follows the text
# and matches the parameters of the 2-D encoder; the pool is padded by half of its kernel as there.
_OPERATIONS_1D = _Operations(
    nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d, kernel_power=2, stem_kernel=7**2, pool_padding=4
)
# The authors' code keeps both as they are in 2-D, and so loses three of 4,000 positions.
_STEMS_1D: dict[str, _Operations] = {
    "paper": _OPERATIONS_1D,
    "released": _OPERATIONS_1D._replace(stem_kernel=7, pool_padding=1),
}


class ResNet18(nn.Module):
    """ResNet-18 up to its global average pooling: (batch, channels, ...) -> (batch, 8 * width).

    Parameters have torchvision's names and, in 2-D at width 64, its shapes and initial
    distributions, without the classifier `fc`.

    Attributes:
        representation_size: 8 * width, entries of a representation.

    Source: He et al. 2016, table 1; torchvision.models.resnet18.
    """

    def __init__(self, operations: _Operations, *, in_channels: int, width: int) -> None:
        super().__init__()
        self.representation_size = 8 * width
        self.conv1 = _conv(operations, in_channels, width, operations.stem_kernel, stride=2)
        self.bn1 = operations.norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = operations.max_pool(
            3**operations.kernel_power, stride=2, padding=operations.pool_padding
        )
        self.layer1 = _stage(operations, width, width, stride=1)
        self.layer2 = _stage(operations, width, 2 * width, stride=2)
        self.layer3 = _stage(operations, 2 * width, 4 * width, stride=2)
        self.layer4 = _stage(operations, 4 * width, 8 * width, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = inputs
        for segment in self.segments():
            hidden = segment(hidden)
        return self.pool(hidden)

    def segments(self) -> list[nn.Module]:
        """The encoder as a sequence up to its pooling: the stem, then each block."""
        stem = nn.Sequential(self.conv1, self.bn1, self.relu, self.maxpool)
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        return [stem, *(block for stage in stages for block in stage)]

    def pool(self, hidden: Tensor) -> Tensor:
        """Average over positions: (batch, channels, ...) -> (batch, channels)."""
        representations: Tensor = hidden.flatten(2).mean(2)
        return representations


class _BasicBlock(nn.Module):
    """Two convolutions of side 3 around a shortcut."""

    def __init__(
        self, operations: _Operations, in_channels: int, out_channels: int, *, stride: int
    ) -> None:
        super().__init__()
        kernel = 3**operations.kernel_power
        self.conv1 = _conv(operations, in_channels, out_channels, kernel, stride=stride)
        self.bn1 = operations.norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(operations, out_channels, out_channels, kernel, stride=1)
        self.bn2 = operations.norm(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                _conv(operations, in_channels, out_channels, 1, stride=stride),
                operations.norm(out_channels),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        hidden = self.bn2(self.conv2(hidden))
        hidden += inputs if self.downsample is None else self.downsample(inputs)
        outputs: Tensor = self.relu(hidden)
        return outputs


def resnet18_1d(width: int = 64, *, stem: Definition = "paper") -> ResNet18:
    """ResNet-18 for waveforms: (batch, 1, time) -> (batch, 8 * width).

    Args:
        width: Channels of the first stage.
        stem: Its first convolution has a kernel of 49 (`paper`) or 7 (`released`), its pool a
            padding of 4 or 1.

    Raises:
        ValueError: `stem` is neither of the two.
    """
    if stem not in _STEMS_1D:
        raise ValueError(f"stem: {stem!r} is not one of {', '.join(map(repr, _STEMS_1D))}")
    return ResNet18(_STEMS_1D[stem], in_channels=1, width=width)


def resnet18_2d(width: int = 64) -> ResNet18:
    """ResNet-18 for features: (batch, 3, bands, frames) -> (batch, 8 * width)."""
    return ResNet18(_OPERATIONS_2D, in_channels=3, width=width)


def _stage(
    operations: _Operations, in_channels: int, out_channels: int, *, stride: int
) -> nn.Sequential:
    return nn.Sequential(
        _BasicBlock(operations, in_channels, out_channels, stride=stride),
        _BasicBlock(operations, out_channels, out_channels, stride=1),
    )


def _conv(
    operations: _Operations, in_channels: int, out_channels: int, kernel: int, *, stride: int
) -> nn.Module:
    return operations.conv(
        in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False
    )
