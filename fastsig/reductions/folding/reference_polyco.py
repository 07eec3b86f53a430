"""The phase of a fold as a polyco at the frequency of the profiles, for the archive.

Blocks of a polyco are moved there exactly. To other predictors, polynomials of 12 terms are fitted,
in spans of up to an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
from astropy.time import Time

from fastsig.axes.time import day_and_seconds
from fastsig.pulsar.phases import Instant, moved
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_text import Block
from fastsig.reductions.folding.channel_phases import ChannelPhases

__all__ = ["blocks_of"]

_SPAN_S = 3600
_TERMS = 12
_MARGIN_S = 1
_LEAST_ERROR = 1e-12


def blocks_of(phases: ChannelPhases, start: Time, first_s: float, last_s: float) -> list[Block]:
    """Return the blocks that cover the time between two epochs, s after the start."""
    at = Instant.of(start)
    if isinstance(phases.predictor, Polyco):
        low, high = (at.later(Fraction(each)) for each in (first_s, last_s))
        return [_moved(phases, block) for block in phases.predictor.blocks
                if _distance_s(block, low, high) <= 30 * block.span_min]
    count = max(1, ceil((last_s - first_s) / _SPAN_S))
    length = (last_s - first_s) / count
    return [_fitted(phases, at, first_s + (k + 0.5) * length, length) for k in range(count)]


def _distance_s(block: Block, low: Instant, high: Instant) -> float:
    """Return how far the middle of a block is from the nearest time between two times."""
    middle = Instant(block.day, block.day_part * 86400)
    return float(max(low.since(middle), middle.since(high), Fraction(0)))


def _moved(phases: ChannelPhases, block: Block) -> Block:
    """Return a block for the pulse at the frequency of the profiles, which is later."""
    turns = moved(block.turns, -Fraction(phases.late_s))
    return replace(block, mhz=_mhz(phases), coefficients=_coefficients(block, turns))


def _fitted(phases: ChannelPhases, start: Instant, middle_s: float, length_s: float) -> Block:
    """Return a block that is fitted to the phases of a span."""
    day, seconds = day_and_seconds(start.day, start.seconds + Fraction(middle_s))
    half = length_s / 2 + _MARGIN_S
    nodes = np.cos(np.pi * (np.arange(2 * _TERMS) + 0.5) / (2 * _TERMS)) * half
    turns, fraction = phases.at(middle_s + np.append(nodes, 0.0))
    frequency = float(phases.frequency(np.array([middle_s]))[0])
    rest = (turns - turns[-1]) + fraction - frequency * np.append(nodes, 0.0)
    fit = np.polynomial.Chebyshev.fit(nodes, rest[:-1], _TERMS - 1, domain=[-half, half])
    error = float((fit(nodes) - rest[:-1]).std()) + _LEAST_ERROR
    terms = [Fraction(float(each)) for each in fit.convert(
        kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef]
    terms += [Fraction(0)] * (_TERMS - len(terms))  # NumPy leaves out zeros at the end
    block = Block(
        source=phases.predictor.source, day=day, day_part=seconds / 86400, dm=phases.dm or 0.0,
        doppler=0.0, log_rms=float(np.log10(error)),
        phase=Fraction(int(turns[-1])), frequency=Fraction(frequency), site="",
        span_min=ceil(2 * half / 60), mhz=_mhz(phases), coefficients=())
    terms[0] += block.phase
    terms[1] += block.frequency
    return replace(block, coefficients=_coefficients(block, terms))


def _coefficients(block: Block, turns: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return the coefficients of a block whose phase is a polynomial of turns per s^k."""
    return (turns[0] - block.phase, 60 * (turns[1] - block.frequency),
            *(each * 60**k for k, each in enumerate(turns[2:], 2)))


def _mhz(phases: ChannelPhases) -> float:
    return float(phases.reference_hz / 10**6)
