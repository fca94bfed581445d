"""ResNet-18 for waveforms and for images, from one definition."""

from typing import NamedTuple

from torch import Tensor, nn


class _Operations(NamedTuple):
    """The operations of one dimensionality; a square kernel of side k becomes k ** kernel_power."""

    conv: type[nn.Conv1d] | type[nn.Conv2d]
    norm: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]
    max_pool: type[nn.MaxPool1d] | type[nn.MaxPool2d]
    kernel_power: int


# Kernels squared and strides left at 2: CLAR (arXiv:2010.09542), section 3.2. The authors' code
# keeps 7 in the stem; 49 follows the text and matches the parameters of the 2-D encoder.
_OPERATIONS_1D = _Operations(nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d, kernel_power=2)
_OPERATIONS_2D = _Operations(nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, kernel_power=1)


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
        self.conv1 = _conv(operations, in_channels, width, kernel=7, stride=2)
        self.bn1 = operations.norm(width)
        self.relu = nn.ReLU(inplace=True)
        # Padded by half of the kernel as in 2-D; the authors' 1-D pool of 9 pads by 1 and so loses
        # three of 4,000 positions.
        pool_kernel = 3**operations.kernel_power
        self.maxpool = operations.max_pool(pool_kernel, stride=2, padding=pool_kernel // 2)
        self.layer1 = _stage(operations, width, width, stride=1)
        self.layer2 = _stage(operations, width, 2 * width, stride=2)
        self.layer3 = _stage(operations, 2 * width, 4 * width, stride=2)
        self.layer4 = _stage(operations, 4 * width, 8 * width, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.maxpool(self.relu(self.bn1(self.conv1(inputs))))
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(hidden))))
        representations: Tensor = hidden.flatten(2).mean(2)
        return representations


class _BasicBlock(nn.Module):
    """Two convolutions of side 3 around a shortcut."""

    def __init__(
        self, operations: _Operations, in_channels: int, out_channels: int, *, stride: int
    ) -> None:
        super().__init__()
        self.conv1 = _conv(operations, in_channels, out_channels, kernel=3, stride=stride)
        self.bn1 = operations.norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(operations, out_channels, out_channels, kernel=3, stride=1)
        self.bn2 = operations.norm(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                _conv(operations, in_channels, out_channels, kernel=1, stride=stride),
                operations.norm(out_channels),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        hidden = self.bn2(self.conv2(hidden))
        hidden += inputs if self.downsample is None else self.downsample(inputs)
        outputs: Tensor = self.relu(hidden)
        return outputs


def resnet18_1d(width: int = 64) -> ResNet18:
    """ResNet-18 for waveforms: (batch, 1, time) -> (batch, 8 * width)."""
    return ResNet18(_OPERATIONS_1D, in_channels=1, width=width)


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
    operations: _Operations, in_channels: int, out_channels: int, *, kernel: int, stride: int
) -> nn.Module:
    kernel_size = kernel**operations.kernel_power
    return operations.conv(
        in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False
    )
