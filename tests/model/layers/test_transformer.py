"""Position codes against the paper's formula, attention against its own, and what padding may not change."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from setpiece.model.layers.transformer import Attention, Decoder, Encoder, sine_positions


@settings(max_examples=20, deadline=None)
@given(
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    extra_rows=st.integers(0, 3),
    extra_columns=st.integers(0, 3),
)
def test_position_codes_are_the_papers_formula_on_the_image_without_its_padding(
    height, width, extra_rows, extra_columns
):
    channels = 16
    padding = torch.ones(1, height + extra_rows, width + extra_columns, dtype=torch.bool)
    padding[:, :height, :width] = False
    codes = sine_positions(padding, channels)
    for row in range(height):
        for column in range(width):
            expected = []
            for index, count in ((row, height), (column, width)):
                angle = 2 * math.pi * (index + 1) / (count + 1e-6)
                for i in range(channels // 4):
                    frequency = 10000 ** (2 * i / (channels / 2))
                    expected += [math.sin(angle / frequency), math.cos(angle / frequency)]
            assert codes[0, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_attention_weights_can_be_recomputed_from_what_query_and_key_give():
    attention = Attention(width=16, heads=4, dropout=0.0)
    seen = {}
    for name in ("query", "key", "value"):
        getattr(attention, name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.__setitem__(name, output)
        )
    out = attention(torch.randn(2, 3, 16), torch.randn(2, 5, 16), torch.randn(2, 5, 16))
    heads = {name: x.unflatten(-1, (4, 4)).transpose(1, 2) for name, x in seen.items()}
    weights = (heads["query"] @ heads["key"].mT / math.sqrt(4)).softmax(-1)
    expected = attention.output((weights @ heads["value"]).transpose(1, 2).flatten(2))
    torch.testing.assert_close(out, expected)


def test_tokens_that_are_padding_change_nothing():
    sizes = {"layers": 2, "width": 16, "heads": 2, "hidden": 32, "dropout": 0.0}
    encoder, decoder = Encoder(**sizes), Decoder(**sizes)
    present = torch.tensor([[True, True, False, True], [True, False, False, False]])[:, None, None]
    tokens, positions, queries = torch.randn(2, 4, 16), torch.randn(2, 4, 16), torch.randn(2, 3, 16)

    def run(x):
        memory = encoder(x, positions, present)
        return memory, decoder(queries, memory, positions, present)

    absent = ~present[:, 0, 0, :, None]
    memory, states = run(tokens)
    other_memory, other_states = run(torch.where(absent, torch.randn(2, 4, 16), tokens))
    torch.testing.assert_close(states, other_states)
    torch.testing.assert_close(memory.masked_fill(absent, 0), other_memory.masked_fill(absent, 0))


def test_dropout_acts_in_training_only():
    attention = Attention(width=16, heads=2, dropout=0.5)
    x = torch.randn(1, 8, 16)
    assert not torch.equal(attention(x, x, x), attention(x, x, x))
    attention.eval()
    assert torch.equal(attention(x, x, x), attention(x, x, x))
