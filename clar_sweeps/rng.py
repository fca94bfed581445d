"""Named streams of random numbers, derived from the seed and never carried along."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(
    seed: int, stream: str, *indices: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Generator of the stream named by `stream` and `indices`, such as `("augment", epoch)`.

    A pure function of its arguments: a resumed trial draws what an uninterrupted one would
    have drawn, and one more draw in a stream changes no other.

    Args:
        seed: The trial's seed.
        stream: Name of the stream.
        indices: Position within the stream, such as the epoch.
        device: Where tensors drawn from it live. Devices draw different numbers.
    """
    return torch.Generator(device=device).manual_seed(_stream_seed(seed, stream, *indices))


@contextmanager
def seeded(seed: int, stream: str, *, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the global generators of the CPU and of `device`; restore them afterwards.

    The one place where global generators are set: modules draw initial weights and dropout from
    them and take no generator.
    """
    device = torch.device(device)
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(_stream_seed(seed, stream))
        if on_cuda:
            torch.cuda.manual_seed(_stream_seed(seed, stream))
        yield


def _stream_seed(seed: int, stream: str, *indices: int) -> int:
    """63 bits of a hash: neighbouring seeds and epochs give unrelated streams."""
    name = "/".join([str(seed), stream, *map(str, indices)])
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
