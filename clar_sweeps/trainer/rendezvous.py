"""Where the processes of a trial meet."""

import fcntl
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # a star exports it

from clar_sweeps.errors import RankLostError
from clar_sweeps.trainer.ranks import Ranks

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
# Without a word from anybody: longer than an epoch's evaluation, which rank 0 judges by itself.
DEFAULT_PATIENCE_SECONDS = 3600.0
# Of the patience, so that an attempt ends by itself, with its reason, before it is ended.
_SHARE_OF_PATIENCE = 0.9
_SECONDS_TO_JOIN = 300.0  # a process of a busy machine takes long to import torch
_SECONDS_BETWEEN_LOOKS = 0.1
_GET_ADDRESS_OF_INTERFACE = 0x8915  # SIOCGIFADDR


class Meeting(NamedTuple):
    """What a rank must know to join; plain, so that any process can read it."""

    host: str
    port: int
    size: int
    timeout_seconds: float


class Host:
    """Rank 0's side of a meeting: listens, on one address only, for the other ranks."""

    def __init__(
        self, size: int, *, host: str = LOOPBACK, patience_seconds: float | None = None
    ) -> None:
        """Listen.

        Args:
            size: How many ranks will come, this one among them.
            host: Address of this machine that the others can reach.
            patience_seconds: How long somebody waits for a sign of life from the trial.
        """
        listener = socket.create_server((host, 0), backlog=max(16, size))
        port = listener.getsockname()[1]
        timeout = _SHARE_OF_PATIENCE * (patience_seconds or DEFAULT_PATIENCE_SECONDS)
        self.meeting = Meeting(host, port, size, timeout)
        # By a socket of our own: torch would listen on every address of the machine.
        self._store = TCPStore(
            host,
            port,
            is_master=True,
            wait_for_workers=False,
            timeout=timedelta(seconds=_SECONDS_TO_JOIN),
            master_listen_fd=listener.detach(),
        )

    @contextmanager
    def joined(
        self, *, why_lost: Callable[[], str], is_lost: Callable[[], bool]
    ) -> Iterator[Ranks]:
        """Be rank 0 until the context ends.

        Args:
            why_lost: What the other ranks ended of, as far as it is known; may wait for it.
            is_lost: Whether one has ended; does not wait.

        Raises:
            RankLostError: A rank ended, or did not come in time.
        """
        self._wait_for_all(why_lost=why_lost, is_lost=is_lost)
        ranks = Ranks(0, self.meeting.size, why_lost=why_lost)
        with _in_group(self._store, self.meeting, rank=0):
            yield ranks

    def _wait_for_all(self, *, why_lost: Callable[[], str], is_lost: Callable[[], bool]) -> None:
        keys = [_key(rank) for rank in range(1, self.meeting.size)]
        until = time.monotonic() + _SECONDS_TO_JOIN
        while not self._store.check(keys):
            if is_lost():
                raise RankLostError(f"a rank ended before training began: {why_lost()}")
            if time.monotonic() > until:
                raise RankLostError(
                    f"not all of {self.meeting.size} ranks came within {_SECONDS_TO_JOIN:g} s"
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextmanager
def joined(meeting: Meeting, *, rank: int) -> Iterator[Ranks]:
    """Be another rank than 0 until the context ends."""
    store = TCPStore(
        meeting.host,
        meeting.port,
        is_master=False,
        timeout=timedelta(seconds=_SECONDS_TO_JOIN),
    )
    store.set(_key(rank), "here")
    with _in_group(store, meeting, rank=rank):
        yield Ranks(rank, meeting.size)


def _key(rank: int) -> str:
    return f"clar_sweeps/{rank}"


@contextmanager
def _in_group(store: TCPStore, meeting: Meeting, *, rank: int) -> Iterator[None]:
    interface = _interface(meeting.host)
    if interface is not None:
        # Sockets of the libraries then lie where the meeting is; a user's own choice comes first.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
    # Gloo carries what ranks tell each other, also where NCCL carries tensors.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(
        backend,
        store=store,
        rank=rank,
        world_size=meeting.size,
        timeout=timedelta(seconds=meeting.timeout_seconds),
    )
    try:
        yield
    finally:
        # Also after an error: a peer that waits is told by the closed sockets.
        dist.destroy_process_group()


def _interface(host: str) -> str | None:
    """Network interface of this machine that can reach an address of the meeting."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # sends nothing; the system chooses the way
        own = socket.inet_aton(probe.getsockname()[0])
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _GET_ADDRESS_OF_INTERFACE, request)
            except OSError:  # it has none
                continue
            if answer[20:24] == own:
                return name
    return None
