import torch

from clar_sweeps import rng


def draw(*stream: object) -> torch.Tensor:
    seed, name, *indices = stream
    assert isinstance(seed, int)
    return torch.rand(8, generator=rng.generator(seed, str(name), *map(int, indices)))  # type: ignore[call-overload]  # indices are int


def test_a_stream_is_a_function_of_its_name() -> None:
    assert torch.equal(draw(0, "augment", 3), draw(0, "augment", 3))


def test_streams_differ_in_seed_name_and_epoch() -> None:
    draws = [draw(0, "augment", 3), draw(1, "augment", 3), draw(0, "order", 3), draw(0, "augment")]
    draws.append(draw(0, "augment", 33))
    for i, one in enumerate(draws):
        assert not any(torch.equal(one, other) for other in draws[i + 1 :])


def test_names_do_not_run_together() -> None:
    assert not torch.equal(draw(1, "a", 12), draw(1, "a", 1, 2))


def test_seeded_gives_equal_weights_and_restores_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    weights = []
    for _ in range(2):
        with rng.seeded(5, "encoder"):
            weights.append(torch.nn.Linear(4, 4).weight)
    assert torch.equal(*weights)
    assert torch.equal(torch.random.get_rng_state(), before)
