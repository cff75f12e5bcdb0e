"""Encoder and decoder with attention between them: strings in, strings of another length out.

`DateTranslator` is the network of the classic date exercise; `AttentionSeq2Seq` is the general one.
Papers: Bahdanau, Cho & Bengio 2014, arXiv:1409.0473 (section 3, appendix A); Hochreiter & Schmidhuber 1997 (LSTM).
Parameters: DateTranslator(37, 11) has 52,960, or 53,472 with the second bias that PyTorch's recurrent layers add.
Weights accepted: their own.

Legend: B batch, T_x input length, T_y output length, V_x and V_y sizes of the two alphabets, s the decoder's state,
a the encoder's states. Both networks answer the same four calls:
    encode(tokens)           the encoder's states (B, T_x, 2 n_a), and the backward direction's last one
    forward(tokens)          (B, T_x) int64 -> logits (B, T_y, V_y), each symbol chosen greedily
    attend(tokens)           the same logits, and the weights (B, T_y, T_x) that each output gave to each input
    taught(tokens, targets)  logits (B, T_y, V_y) when the symbols before are the right ones (teacher forcing)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.nn.attention import AdditiveAttention

Cell = Literal["lstm", "gru"]
State = tuple[Tensor, ...]  # (s, c) of an LSTM, (s,) of a GRU


class DateTranslator(nn.Module):
    """The date exercise's network: Bi-LSTM, attention, LSTM, softmax; no output is fed back.

    Args:
        input_symbols: V_x, padding and unknown among them.
        output_symbols: V_y.
        output_length: T_y; each answer has exactly this many symbols.
        encoder_size: units of the Bi-LSTM, each way.
        decoder_size: units of the LSTM that writes.
        attention_size: hidden units of the net that scores (s, a).
        double_bias: two biases a gate, as PyTorch's recurrent layers have; else one, as in the exercise.
        pad: number of the padding symbol. The exercise reads it like any other; `mask_pads` gives it weight 0.
    """

    def __init__(
        self,
        input_symbols: int,
        output_symbols: int,
        *,
        output_length: int = 10,
        encoder_size: int = 32,
        decoder_size: int = 64,
        attention_size: int = 10,
        double_bias: bool = False,
        pad: int = 0,
        mask_pads: bool = False,
    ) -> None:
        super().__init__()
        self.input_symbols, self.output_length = input_symbols, output_length
        self.double_bias, self.pad, self.mask_pads = double_bias, pad, mask_pads
        # A single bias is the weight of an input that is always 1; PyTorch's layers know only two biases or none.
        one = 0 if double_bias else 1
        self.encoder = nn.LSTM(
            input_symbols + one, encoder_size, bias=double_bias, bidirectional=True, batch_first=True
        )
        self.attention = AdditiveAttention(decoder_size, 2 * encoder_size, attention_size, relu=True)
        self.decoder = nn.LSTMCell(2 * encoder_size + one, decoder_size, bias=double_bias)
        self.output = nn.Linear(decoder_size, output_symbols)
        _initialise_recurrent_(self.encoder, single_bias=not double_bias)
        _initialise_recurrent_(self.decoder, single_bias=not double_bias)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T_x) int64 -> logits (B, T_y, V_y)."""
        return self.attend(tokens)[0]

    def attend(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T_y, V_y) and attention weights (B, T_y, T_x)."""
        states, _ = self.encode(tokens)
        mask = tokens != self.pad if self.mask_pads else None
        prepared = self.attention.prepare(states)
        s = c = states.new_zeros(tokens.shape[0], self.decoder.hidden_size)  # len() would fix the batch on export
        logits, seen = [], []
        for _ in range(self.output_length):
            context, weights = self.attention(s, states, prepared, mask)
            s, c = self.decoder(self._with_one(context), (s, c))
            logits.append(self.output(s))
            seen.append(weights)
        return torch.stack(logits, dim=1), torch.stack(seen, dim=1)

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """States of all inputs (B, T_x, 2 n_a), and the backward direction's last state (B, n_a)."""
        one_hot = F.one_hot(tokens, self.input_symbols).to(self.output.weight.dtype)
        states, (last, _) = self.encoder(self._with_one(one_hot))
        return states, last[1]

    def taught(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """As `forward`: this network never sees what was written before. Cut to the targets' length."""
        return self(tokens)[:, : targets.shape[1]]

    def _with_one(self, x: Tensor) -> Tensor:
        return x if self.double_bias else F.pad(x, (0, 1), value=1.0)


class AttentionSeq2Seq(nn.Module):
    """Bidirectional encoder, additive attention, and a decoder that is fed what it wrote before.

    Outputs end at the symbol `end`; symbols after it mean nothing. Padding gets weight 0 and does not change the
    answer: the backward direction starts at the last real symbol.

    Args:
        input_symbols: V_x, padding and unknown among them.
        output_symbols: V_y, `end` among them.
        output_length: most symbols that `forward` and `attend` write.
        embedding_size: of input and output symbols.
        encoder_size: units of the encoder, each way.
        decoder_size: units of the decoder.
        attention_size: hidden units of the net that scores (s, a).
        cell: lstm or gru, for both.
        dropout: share dropped of embeddings and of what the output layer sees.
        pad: number of the input's padding symbol.
        end: number of the output's end symbol.
    """

    def __init__(
        self,
        input_symbols: int,
        output_symbols: int,
        *,
        output_length: int,
        embedding_size: int = 32,
        encoder_size: int = 64,
        decoder_size: int = 128,
        attention_size: int = 64,
        cell: Cell = "lstm",
        dropout: float = 0.0,
        pad: int = 0,
        end: int = 0,
    ) -> None:
        super().__init__()
        self.output_length, self.pad, self.end = output_length, pad, end
        self.start = output_symbols  # fed before the first output; never written, so the output layer lacks it
        self.read = nn.Embedding(input_symbols, embedding_size)
        self.written = nn.Embedding(output_symbols + 1, embedding_size)
        layer: type[nn.LSTM] | type[nn.GRU] = nn.LSTM if cell == "lstm" else nn.GRU
        self.forwards = layer(embedding_size, encoder_size, batch_first=True)
        self.backwards = layer(embedding_size, encoder_size, batch_first=True)
        self.first_state = nn.Linear(encoder_size, decoder_size)
        self.attention = AdditiveAttention(decoder_size, 2 * encoder_size, attention_size)
        step: type[nn.LSTMCell] | type[nn.GRUCell] = nn.LSTMCell if cell == "lstm" else nn.GRUCell
        self.decoder = step(embedding_size + 2 * encoder_size, decoder_size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(decoder_size + 2 * encoder_size, output_symbols)
        for recurrent in (self.forwards, self.backwards, self.decoder):
            _initialise_recurrent_(recurrent)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T_x) int64 -> logits (B, output_length, V_y); each output is fed the likeliest symbol before it."""
        return self.attend(tokens)[0]

    def attend(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, output_length, V_y) and attention weights (B, output_length, T_x), symbols chosen greedily."""
        logits, seen = zip(*self._write(tokens, None, self.output_length), strict=True)
        return torch.stack(logits, dim=1), torch.stack(seen, dim=1)

    def taught(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Logits (B, T_y, V_y) where output t is fed the true symbol t - 1.

        Args:
            targets: (B, T_y) int64; negative numbers are padding.
        """
        return torch.stack([logits for logits, _ in self._write(tokens, targets, targets.shape[1])], dim=1)

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """States of all inputs (B, T_x, 2 n_a), and the backward direction's last state (B, n_a)."""
        x = self.dropout(self.read(tokens))  # (B, T_x, embedding)
        lengths = (tokens != self.pad).sum(dim=1, keepdim=True)  # (B, 1)
        places = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        # Real symbols in reverse, padding where it was: a packed sequence's order, in operations that export knows.
        turned = torch.where(places < lengths, lengths - 1 - places, places).unsqueeze(-1)  # (B, T_x, 1)
        ahead, _ = self.forwards(x)
        back, _ = self.backwards(x.gather(1, turned.expand(-1, -1, x.shape[-1])))
        back = back.gather(1, turned.expand(-1, -1, back.shape[-1]))
        return torch.cat([ahead, back], dim=-1), back[:, 0]

    def _write(self, tokens: Tensor, targets: Tensor | None, length: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(logits (B, V_y), weights (B, T_x)) of one output after the other."""
        states, last = self.encode(tokens)
        prepared, mask = self.attention.prepare(states), tokens != self.pad
        s = torch.tanh(self.first_state(last))
        state: State = (s, torch.zeros_like(s)) if isinstance(self.decoder, nn.LSTMCell) else (s,)
        symbol = torch.full_like(tokens[:, 0], self.start)
        for t in range(length):
            context, weights = self.attention(state[0], states, prepared, mask)
            x = torch.cat([self.dropout(self.written(symbol)), context], dim=-1)
            state = self.decoder(x, state) if isinstance(self.decoder, nn.LSTMCell) else (self.decoder(x, state[0]),)
            logits = self.output(self.dropout(torch.cat([state[0], context], dim=-1)))
            yield logits, weights
            symbol = logits.argmax(dim=-1) if targets is None else targets[:, t].clamp_min(0)


def _initialise_recurrent_(layer: nn.RNNBase | nn.RNNCellBase, single_bias: bool = False) -> None:
    """Glorot for what comes from the input, orthogonal for what comes from the state, gate by gate; forget bias 1.

    Source: Jozefowicz, Zaremba & Sutskever 2015 (forget bias); Saxe et al. 2013, arXiv:1312.6120 (orthogonal).
    """
    gates = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3}[type(layer)]
    for name, parameter in layer.named_parameters():
        size = len(parameter) // gates
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            if gates == 4 and name.startswith("bias_ih"):
                nn.init.ones_(parameter[size : 2 * size].detach())  # gates: input, forget, cell, output
        else:
            init = nn.init.xavier_uniform_ if name.startswith("weight_ih") else nn.init.orthogonal_
            for gate in parameter.detach().split(size):
                init(gate)
            if single_bias and name.startswith("weight_ih"):
                column = parameter.detach()[:, -1]  # weights of the input that is always 1
                column.zero_()
                column[size : 2 * size] = 1.0


__all__ = ["AttentionSeq2Seq", "DateTranslator"]
