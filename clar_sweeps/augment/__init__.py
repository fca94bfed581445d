"""Augmentations of waveforms: batched, on any device, drawn from an explicit generator."""

from clar_sweeps.augment.chain import Backend, Chain, Part, build_chain
from clar_sweeps.augment.operations import DEFINITIONS, OPERATIONS, Operation

__all__ = ["DEFINITIONS", "OPERATIONS", "Backend", "Chain", "Operation", "Part", "build_chain"]
