"""The processes of one trial, and all that they say to each other.

Each rank trains on its part of every batch, and the numbers are those of one process with the whole
batch. What the heads give is gathered, so that every rank computes the same global loss; the
gradient flows back to a rank's own clips alone, and the sum over ranks of the weights' gradients is
that of the whole batch. Batch norm shares its statistics. Rank 0 is the trial: it leads, writes and
decides, and the others take up the verb of the trainer that it announces.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from clar_sweeps.augment import Part
from clar_sweeps.errors import RankLostError
from clar_sweeps.models import use_global_batch_norm

Verb = Literal["train_epoch", "evaluate", "load", "end"]


class Ranks:
    """This process among those of its trial; they are joined by torch.distributed.

    Alone, every method is its trivial case and costs nothing.

    Attributes:
        rank: From 0; 0 leads.
        size: How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1, *, why_lost: Callable[[], str] = str) -> None:
        """Take a place.

        Args:
            rank: This process'.
            size: Of the default process group, which has been joined; see `rendezvous`.
            why_lost: Asked what another rank ended of, where a word to it failed; empty where
                nothing is known.
        """
        self.rank = rank
        self.size = size
        self._why_lost = why_lost

    @property
    def leads(self) -> bool:
        """Whether this process is the trial, and not one that helps it."""
        return self.rank == 0

    def part(self, batch: int) -> Part | None:
        """This rank's rows of a batch, as equal in number as can be; None for all of it."""
        if self.size == 1:
            return None
        return Part(*self._bounds(batch, self.rank), batch=batch)

    def _bounds(self, batch: int, rank: int) -> tuple[int, int]:
        share, rest = divmod(batch, self.size)
        first = rank * share + min(rank, rest)
        return first, first + share + (rank < rest)

    def own_rows(self, batch: Tensor) -> Tensor:
        """This rank's rows of a batch: (batch, ...) -> (part, ...)."""
        return batch if self.size == 1 else batch[slice(*self._bounds(len(batch), self.rank))]

    def gather(self, own: Tensor, batch: int) -> Tensor:
        """Rows of all ranks from this rank's part of a batch: (part, ...) -> (batch, ...).

        Gradients flow to the own rows.
        """
        if self.size == 1:
            return own
        most = -(-batch // self.size)
        padded = own.detach().new_zeros(most, *own.shape[1:])
        padded[: len(own)] = own.detach()
        rows = self._all(padded)
        bounds = [self._bounds(batch, rank) for rank in range(self.size)]
        parts = [rows[rank, : stop - first] for rank, (first, stop) in enumerate(bounds)]
        parts[self.rank] = own
        return torch.cat(parts)

    def gather_outputs(self, outputs: Sequence[Any], batch: int) -> Sequence[Any]:
        """`gather` of what a head gives for each view: a tensor, or several."""
        if self.size == 1:
            return outputs
        return [
            self.gather(each, batch)
            if isinstance(each, Tensor)
            else tuple(self.gather(tensor, batch) for tensor in each)
            for each in outputs
        ]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients of parameters by their sums over all ranks."""
        if self.size == 1:
            return
        gradients = [each.grad for each in parameters if each.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        with self._together():
            dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def unite(self, *modules: nn.Module) -> None:
        """Give new modules the weights of rank 0, and batch norms that see the whole batch."""
        if self.size == 1:
            return
        for module in modules:
            use_global_batch_norm(module, self._all)
            # Drawn from one seed, but not by processors that need round alike.
            for tensor in module.state_dict().values():
                self.from_leader(tensor)

    def from_leader(self, tensor: Tensor) -> Tensor:
        """Overwrite a tensor by that of rank 0."""
        if self.size > 1:
            with self._together():
                dist.broadcast(tensor, src=0)
        return tensor

    def value_from_leader(self, value: Any) -> Any:
        """What rank 0 gives here, a plain value."""
        if self.size == 1:
            return value
        return json.loads(self._bytes_from_leader(json.dumps(value).encode()))

    def state_from_leader(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state of a trainer that rank 0 gives here, on the CPU."""
        if self.size == 1:
            return state
        buffer = io.BytesIO()
        if self.leads:
            torch.save(state, buffer)
        content = self._bytes_from_leader(buffer.getvalue())
        if self.leads:
            return state
        # weights_only: what comes over a network is data, never code.
        received = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        assert isinstance(received, dict)
        return received

    def any(self, claim: bool) -> bool:
        """Whether a claim holds on any rank."""
        return claim if self.size == 1 else bool(self.which(claim))

    def which(self, claim: bool) -> list[int]:
        """The ranks on which a claim holds."""
        if self.size == 1:
            return [0] if claim else []
        return self._all(torch.tensor([float(claim)])).flatten().nonzero().flatten().tolist()

    def announce(self, verb: Verb) -> None:
        """Let the other ranks take up a verb; called by any of them, only rank 0 has a word."""
        if self.size > 1 and self.leads:
            self.value_from_leader(verb)

    def listen(self) -> Verb:
        """Wait for the next verb of rank 0."""
        verb: Verb = self.value_from_leader(None)
        return verb

    def _bytes_from_leader(self, content: bytes) -> bytes:
        length = self.from_leader(torch.tensor([len(content)]))
        if not self.leads:
            content = bytes(int(length))
        received = self.from_leader(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        return received.numpy().tobytes()

    def _all(self, own: Tensor) -> Tensor:
        """Tensors of all ranks, which have one shape: (...) -> (ranks, ...)."""
        rows = own.new_empty(self.size, *own.shape)
        with self._together():
            dist.all_gather_into_tensor(rows.view(-1), own.contiguous().view(-1))
        return rows

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = self._why_lost() or str(error).splitlines()[0]
            raise RankLostError(
                f"rank {self.rank} of {self.size} went on alone: {reason}"
            ) from error


ALONE = Ranks()
