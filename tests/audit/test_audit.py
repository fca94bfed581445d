"""Sound chains are let through, and measured."""

from collections import Counter
from collections.abc import Callable
from operator import attrgetter

import numpy as np
import pytest
import torch
from tiny import tiny_config

from clar_sweeps.audit import RULES, Audit, notes, num_refusing, plain, refusals
from clar_sweeps.audit.draws import draw, judge_draws, spreads_of
from clar_sweeps.audit.examining import examine_operation
from clar_sweeps.audit.levels import (
    coarse_features,
    distances_of,
    levels_of,
    mean_distances,
    mean_levels,
)
from clar_sweeps.audit.planned import ClipsOf, PlannedChain, planned_chains, planned_operations
from clar_sweeps.audit.replay import is_same
from clar_sweeps.augment import DEFINITIONS, OPERATIONS
from clar_sweeps.config import make_trial
from clar_sweeps.data import Waveforms

ALL = list(OPERATIONS)
AuditOf = Callable[..., Audit]


@pytest.mark.parametrize("definition", ["paper", "released"])
@pytest.mark.parametrize("probability", [1.0, 0.5, 0.02])
def test_sound_chains_keep_all_rules(
    definition: str, probability: float, audit_of: AuditOf
) -> None:
    chains = [[name] for name in ALL] + [["TM", "FD"], ["PS", "TST"], ["MN", "TS", "FD"]]
    for seed in (0, 1):
        audit = audit_of(
            *chains, augment_definition=definition, augment_probability=probability, seed=seed
        )
        assert refusals(audit) == []
        assert len(audit.chains) == len(chains)


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")
def test_the_second_backend_keeps_all_rules(audit_of: AuditOf) -> None:
    audit = audit_of(["TM", "WN"], ["TS"], augment_backend="audiomentations")
    assert refusals(audit) == []
    assert audit.chains[0].title == "TM-WN, audiomentations"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("definition", ["paper", "released"])
def test_chance_repeats_no_draw(name: str, definition: str) -> None:
    operation = DEFINITIONS[definition][name]  # type: ignore[index]
    for seed in range(40):
        found = judge_draws(draw(operation, time=4000, seed=seed))
        assert found.same_for_all_share < 0.8
        assert found[1:] == (0.0,) * 5


def test_distinct_chains_are_counted_once() -> None:
    configs = [
        tiny_config(augment=["FD", "TM"], seed=seed, width=width)
        for seed in (0, 1)
        for width in (2, 4)
    ]
    configs += [tiny_config(augment=["FD", "TM"], augment_probability=0.5), configs[0].untrained()]
    planned = planned_chains(make_trial(config) for config in configs)
    assert {chain.title: number for chain, number in planned.items()} == {
        "FD-TM": 4,
        "FD-TM, p 0.5": 1,
    }
    assert [each.name for each in planned_operations(list(planned))] == ["FD", "TM"]


def test_levels_tell_what_became_of_each_waveform() -> None:
    clean = 0.5 * torch.sin(torch.arange(16_000) / 5).repeat(6, 1)
    view = clean.clone()
    view[1] = 0.0
    view[2] *= 2.5
    view[3].clamp_(min=0)
    view[4, 7] = torch.nan
    view[5] += 0.5
    levels = levels_of(clean, view)
    assert levels[:, 0].tolist() == [1, 0, 0, 0, 0, 0]  # unchanged
    assert levels[:, 1].tolist() == [0, 1, 0, 0, 0, 0]  # silent
    assert levels[:, 2].tolist() == [0, 0, 1, 0, 0, 0]  # clipped
    assert levels[:, 3].tolist() == [0, 0, 0, 1, 0, 1]  # of one sign
    assert levels[:, 5].tolist() == [0, 0, 0, 0, 1, 0]  # not finite
    # A half-wave has the mean A / pi and the RMS A / 2.
    assert float(levels[3, 4]) == pytest.approx(2 / np.pi, abs=1e-3)
    assert float(levels[5, 4]) == pytest.approx(0.5 / np.sqrt(0.5**2 + 0.5**2 / 2), abs=1e-3)
    assert mean_levels([levels[:2], levels[2:]]).one_sided_share == pytest.approx(2 / 6)


def test_distances_of_a_gain_are_its_decibels() -> None:
    clean = 0.1 * torch.randn(3, 16_000, generator=torch.Generator().manual_seed(0))
    rows = distances_of(clean, (2 * clean, clean / 2), coarse_features())
    found = mean_distances([rows])
    assert found.views_db == pytest.approx(12.04, abs=0.01)
    assert found.clean_db == pytest.approx(6.02, abs=0.01)
    # The difference is the clip itself, and half of it.
    assert sorted({round(snr, 2) for snr in rows[:, 2].tolist()}) == [0.0, 6.02]
    assert mean_distances([distances_of(clean, (clean, clean), coarse_features())]).snr_db == 100


def test_a_sound_below_hearing_beside_the_clip_counts_for_nothing() -> None:
    tone = torch.sin(torch.arange(16_000) * 0.4)[None]
    hiss = 1e-6 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    rows = distances_of(tone, (tone + hiss, tone), coarse_features())
    assert mean_distances([rows]).views_db < 0.1


@pytest.mark.parametrize("peak", [1.0, 1e-3])
def test_waveforms_are_the_same_up_to_rounding_however_quiet(peak: float) -> None:
    one = peak * torch.sin(torch.arange(3000) / 5).repeat(4, 1)
    other = one * torch.tensor([1.0, 1 + 1e-6, 1.01, torch.nan])[:, None]
    assert is_same(one, other).tolist() == [True, True, False, False]
    assert is_same(0 * one, 0 * one).all()


def test_spreads_have_units() -> None:
    (semitones,) = spreads_of(draw(OPERATIONS["PS"], time=16_000, seed=0), sample_rate=16_000)
    assert (semitones.lowest, semitones.highest, semitones.unit) == (-15, 15, "semitones")
    assert (semitones.num_distinct, semitones.num_drawn) == (31, 256)
    told = [
        spread.describe()
        for name in ("FD", "WN", "TS")
        for spread in spreads_of(draw(OPERATIONS[name], time=16_000, seed=0), sample_rate=16_000)
    ]
    assert "shapes 3 of 256 distinct" in told
    assert "noise 256 of 256 distinct" in told
    assert any(line.startswith("snr_db 0 to 19 dB (median ") for line in told)
    assert any(line.startswith("shifts -0.4") and " s (median " in line for line in told)


def test_half_of_the_clips_unchanged_is_allowed_and_told(audit_of: AuditOf) -> None:
    audit = audit_of(["FD"], ["TS"], ["WN", "TS"], num_clips=180, augment_probability=0.5)
    assert refusals(audit) == []
    assert audit.chains[0].facts.both_unchanged_share == pytest.approx(0.25, abs=0.1)
    (line,) = [line for line in notes(audit) if "clean pairs" in line]
    assert line.startswith("FD, p 0.5, TS, p 0.5, WN-TS, p 0.5 of spoken-digits clean: clean pairs")
    assert " to " in line


def test_the_coin_of_the_authors_time_mask_is_told(audit_of: AuditOf) -> None:
    audit = audit_of(["TM"], augment_definition="released")
    (line,) = [line for line in notes(audit) if "often idle" in line]
    assert line.startswith("TM, authors' code of spoken-digits clean: often idle: it leaves ")


def test_no_seed_refuses_the_coin_of_the_authors_time_mask_on_a_few_clips() -> None:
    clips = ClipsOf("esc10")
    (mask,) = planned_operations([PlannedChain(clips, ("TM",), (1.0,), "released")])
    batch = 0.1 * torch.randn(8, 1000, generator=torch.Generator().manual_seed(0))
    for seed in range(300):
        facts = examine_operation(mask, [batch], seed=seed, with_spreads=False)
        assert facts.levels.unchanged_share < 0.9
        assert facts.spreads == ()


def test_silence_is_one_draw_whatever_the_sign_of_its_zeros() -> None:
    drawn = draw(OPERATIONS["TM"], time=4000, seed=0)
    fill = next(each for each in drawn.first if each.values is None)
    assert 0.3 < max(Counter(fill.column).values()) / len(fill.column) < 0.7


def test_order_that_matters_little_is_told(audit_of: AuditOf) -> None:
    audit = audit_of(["FD", "TM"], ["FD", "TS"], num_clips=32)
    fade_mask, fade_shift = (each.facts.effect for each in audit.chains)
    assert fade_mask is not None
    assert fade_shift is not None
    assert fade_mask.same_in_reverse_share > 0.5
    assert fade_shift.same_in_reverse_share < 0.1
    (line,) = notes(audit)
    assert line.startswith("FD-TM of spoken-digits clean: order of little effect: ")


def test_the_number_of_threads_is_as_before(audit_of: AuditOf) -> None:
    before = torch.get_num_threads()
    audit_of(["FD"])
    assert torch.get_num_threads() == before


def test_an_audit_twice_finds_the_same(audit_of: AuditOf) -> None:
    once, again = (audit_of(["PS", "MN"], num_clips=40)._replace(seconds=0) for _ in range(2))
    assert once == again
    assert once.num_clips == {"spoken-digits clean": 40}


def test_clips_are_those_with_which_a_seed_begins(digits: Waveforms, audit_of: AuditOf) -> None:
    one, other = (audit_of(["WN"], num_clips=64, seed=seed) for seed in (0, 1))
    assert one.chains[0].facts.effect != other.chains[0].facts.effect
    everything = audit_of(["FD"], num_clips=10**6)
    assert everything.num_clips == {"spoken-digits clean": len(digits.indices("train"))}


def test_every_rule_asks_for_a_fact_and_gives_its_reason(audit_of: AuditOf) -> None:
    audit = audit_of(["FD"], num_clips=8)
    facts = {"operation": audit.operations[0].facts, "chain": audit.chains[0].facts}
    assert len({(rule.name, rule.of) for rule in RULES}) == len(RULES) > num_refusing()
    for rule in RULES:
        assert float(attrgetter(rule.fact)(facts[rule.of])) >= 0
        assert rule.says.count("{}") <= 1
        assert rule.why
        assert rule.remedy


def test_plain_values_hold_all_that_was_found(audit_of: AuditOf) -> None:
    found = plain(audit_of(["FD", "PS"], num_clips=16), sweep="tiny")
    assert found["sweep"] == "tiny"
    (chain,) = found["chains"]
    assert chain["operations"] == ["FD", "PS"]
    assert chain["effect"]["distances"]["views_db"] > 0
    assert [each["title"] for each in found["operations"]] == ["FD", "PS"]
    assert found["operations"][1]["spreads"][0]["unit"] == "semitones"
    assert found["refused"] == []
