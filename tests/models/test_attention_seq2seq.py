"""The two string networks: the exercise's parameter count, masks, teaching, and what attention learns to look at."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from orthogon.models.attention_seq2seq import AttentionSeq2Seq, DateTranslator


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.system("ex.nmt")
def test_parameters_of_the_exercise() -> None:
    """Bi-LSTM 2 · 4 · 32 (37 + 32 + 1) = 17,920; attention (64 + 64 + 1) · 10 = 1,290 and 10 + 1 = 11;
    LSTM 4 · 64 (64 + 64 + 1) = 33,024; output 65 · 11 = 715. PyTorch's second bias: 2 · 4 · 32 + 4 · 64 = 512.
    """
    network = DateTranslator(37, 11)
    assert count(network.encoder) == 17_920
    assert count(network.attention) == 1_290 + 11
    assert count(network.decoder) == 33_024
    assert count(network.output) == 715
    assert count(network) == 52_960
    assert count(DateTranslator(37, 11, double_bias=True)) == 53_472


@pytest.mark.system("ex.nmt")
def test_shapes_of_the_exercise() -> None:
    """X (m, 30) -> (m, 10, 11); each of the 10 outputs has weights over the 30 inputs that sum to 1."""
    network = DateTranslator(37, 11)
    logits, weights = network.attend(torch.randint(0, 37, (4, 30)))
    assert logits.shape == (4, 10, 11)
    assert weights.shape == (4, 10, 30)
    assert torch.allclose(weights.sum(dim=-1), torch.ones(4, 10), atol=1e-6)


def test_a_single_bias_is_what_two_biases_add_up_to() -> None:
    torch.manual_seed(0)
    one, two = DateTranslator(9, 4, encoder_size=3, decoder_size=5), DateTranslator(
        9, 4, encoder_size=3, decoder_size=5, double_bias=True
    )  # fmt: skip
    state = {k: v for k, v in one.state_dict().items() if "encoder" not in k and "decoder" not in k}
    for name, value in one.state_dict().items():
        if "weight_hh" in name:
            state[name] = value
        elif "weight_ih" in name and ("encoder" in name or "decoder" in name):
            state[name] = value[:, :-1]
            bias = name.replace("weight_ih", "bias_ih")
            state[bias] = value[:, -1] - 0.25
            state[bias.replace("bias_ih", "bias_hh")] = torch.full_like(value[:, -1], 0.25)
    two.load_state_dict(state)
    tokens = torch.randint(0, 9, (2, 6))
    assert torch.allclose(one(tokens), two(tokens), atol=1e-6)


@pytest.mark.system("s2s.attention")
def test_masked_pads_get_no_weight() -> None:
    tokens = torch.tensor([[3, 4, 5, 0, 0], [3, 4, 5, 6, 7]])
    general = AttentionSeq2Seq(9, 4, output_length=3)
    masked = DateTranslator(9, 4, output_length=3, mask_pads=True)
    for network in (general, masked):
        _, weights = network.attend(tokens)
        assert bool((weights[0, :, 3:] == 0).all())
        assert torch.allclose(weights.sum(dim=-1), torch.ones(2, 3), atol=1e-6)


@pytest.mark.system("s2s.attn-cost")
@pytest.mark.parametrize(("t_x", "t_y", "expected"), [(30, 10, 300), (60, 20, 1200)])
def test_attention_scores_every_pair_once(t_x: int, t_y: int, expected: int) -> None:
    """T_x · T_y evaluations of the scoring net: doubling both lengths costs four times as much."""
    network = DateTranslator(37, 11, output_length=t_y)
    scored = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal scored
        scored += output.numel()

    network.attention.energy.register_forward_hook(add)
    network(torch.randint(0, 37, (1, t_x)))
    assert scored == expected


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_padding_changes_no_answer(cell: str, data: st.DataObject) -> None:
    torch.manual_seed(0)
    network = AttentionSeq2Seq(9, 5, output_length=4, cell=cell).eval()  # type: ignore[arg-type]
    text = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=6))
    pads = data.draw(st.integers(1, 5))
    tokens = torch.tensor([text])
    assert torch.allclose(network(tokens), network(F.pad(tokens, (0, pads))), atol=1e-6)


def test_the_backward_direction_equals_pytorchs_own_on_packed_sequences() -> None:
    torch.manual_seed(0)
    network = AttentionSeq2Seq(9, 5, output_length=4, encoder_size=3, embedding_size=4).eval()
    both = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
    state = dict(network.forwards.state_dict())
    state |= {f"{name}_reverse": value for name, value in network.backwards.state_dict().items()}
    both.load_state_dict(state)
    tokens = torch.tensor([[3, 4, 5, 6, 7], [3, 4, 0, 0, 0], [8, 1, 2, 3, 0]])
    packed = nn.utils.rnn.pack_padded_sequence(
        network.read(tokens), torch.tensor([5, 2, 4]), batch_first=True, enforce_sorted=False
    )
    theirs, _ = nn.utils.rnn.pad_packed_sequence(both(packed)[0], batch_first=True)
    ours, last = network.encode(tokens)
    real = tokens != 0
    assert torch.allclose(ours[real], theirs[real], atol=1e-6)
    assert torch.allclose(last, theirs[:, 0, 3:], atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_teaching_its_own_answer_gives_the_greedy_logits(cell: str) -> None:
    torch.manual_seed(0)
    network = AttentionSeq2Seq(9, 5, output_length=6, cell=cell).eval()  # type: ignore[arg-type]
    tokens = torch.randint(1, 9, (3, 7))
    logits = network(tokens)
    assert torch.allclose(network.taught(tokens, logits.argmax(dim=-1)), logits, atol=1e-6)


def test_the_last_target_is_never_fed() -> None:
    torch.manual_seed(0)
    network = AttentionSeq2Seq(9, 5, output_length=6).eval()
    tokens, targets = torch.randint(1, 9, (2, 4)), torch.tensor([[1, 2, 3], [3, 2, 1]])
    other = targets.clone()
    other[:, 2] = 4
    assert torch.equal(network.taught(tokens, targets), network.taught(tokens, other))


@pytest.mark.parametrize(
    "network",
    [
        DateTranslator(9, 4, output_length=3),
        AttentionSeq2Seq(9, 4, output_length=3),
        AttentionSeq2Seq(9, 4, output_length=3, cell="gru"),
    ],
    ids=["date_translator", "lstm", "gru"],
)
def test_gradient_reaches_each_parameter(network: nn.Module) -> None:
    torch.manual_seed(0)
    tokens, targets = torch.randint(1, 9, (6, 5)), torch.randint(0, 4, (6, 3))
    logits = network.taught(tokens, targets)  # type: ignore[operator]
    F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    # The bias of all scores cancels in the softmax: its gradient is 0 but for rounding, unless a ReLU follows.
    silent = [n for n, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert set(silent) <= {"attention.energy.bias"}


def learned_weights(turned: bool, length: int, steps: int) -> Tensor:
    """Mean attention (T_y, T_x) of a network that learned to copy, or to reverse, random strings."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = AttentionSeq2Seq(8, 8, output_length=length, embedding_size=16, encoder_size=16, decoder_size=32)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        tokens = torch.randint(1, 8, (64, length), generator=generator)
        targets = tokens.flip(1) if turned else tokens
        loss = F.cross_entropy(network.taught(tokens, targets).flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tokens = torch.randint(1, 8, (64, length), generator=generator)
    with torch.no_grad():
        logits, weights = network.eval().attend(tokens)
    targets = tokens.flip(1) if turned else tokens
    assert (logits.argmax(dim=-1) == targets).float().mean() > 0.95
    return weights.mean(dim=0)


@pytest.mark.system("s2s.attn-viz")
@pytest.mark.parametrize("turned", [False, True], ids=["copy", "reversal"])
def test_attention_runs_along_the_diagonal_it_has_to(turned: bool) -> None:
    """Copying looks near place t for output t, reversal near T_x - 1 - t."""
    length = 6
    weights = learned_weights(turned, length, steps=250)
    t, place = torch.meshgrid(torch.arange(length), torch.arange(length), indexing="ij")
    right = length - 1 - t if turned else t
    near = (weights * ((place - right).abs() <= 1)).sum(dim=1)
    assert float(near.mean()) > 0.7  # uniform weights would put 0.44 there
    wrong = t if turned else length - 1 - t
    assert float(near.mean()) > 2 * float((weights * ((place - wrong).abs() <= 1)).sum(dim=1).mean())
