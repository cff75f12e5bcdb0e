"""Sequence to sequence: a string in, another string out, character by character, with attention between them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from orthogon.data.examples import Example, Examples
from orthogon.data.loader import MemoryLoader, num_batches
from orthogon.errors import ConfigError, DataError
from orthogon.metrics.score import Metric, Scores
from orthogon.metrics.strings import edit_distance, string_metrics
from orthogon.models.attention_seq2seq import AttentionSeq2Seq, DateTranslator
from orthogon.tasks.task import Answers, Baseline, Card, Task, TaskConfig
from orthogon.training.config import TrainingConfig
from orthogon.training.distributed import rank, world
from orthogon.training.objective import LossSum, Objective
from orthogon.training.space import MAIN, SHAPE, Parameter, Space, around, dropout, smoothing

PAD, UNKNOWN = 0, 1  # input symbols; characters follow
NOT_A_SYMBOL = -100  # target padding; what cross_entropy ignores
LONGEST = 400  # characters; beyond it a step-by-step decoder on characters is the wrong tool
IMPOSSIBLE = -float(np.log(1e-12))  # nats of a true character that the network has no symbol for
TRAIN_SAMPLE = 5000  # pairs that the baselines and the look at typical inputs see
ANSWER_BATCH = 500


class Seq2SeqConfig(TaskConfig):
    """Which network reads and writes, and how large it is."""

    kind: Literal["seq2seq"] = "seq2seq"

    network: Literal["attention", "date_translator"] = Field(
        "attention",
        description="attention: decoder fed what it wrote, any length; date_translator: the exercise's, fixed length.",
    )
    cell: Literal["lstm", "gru"] = Field("lstm", description="Recurrent cell (attention only).")
    embedding_size: int | None = Field(None, gt=0, description="Numbers that stand for a character (attention only).")
    encoder_size: int | None = Field(None, gt=0, description="Units that read, each way.")
    decoder_size: int | None = Field(None, gt=0, description="Units that write.")
    attention_size: int | None = Field(None, gt=0, description="Hidden units of the net that scores each input.")
    dropout: float | None = Field(None, ge=0, lt=1, description="Share of units dropped (attention only).")
    double_bias: bool = Field(False, description="Two biases a gate, as PyTorch has them (date_translator only).")
    mask_pads: bool = Field(False, description="Keep attention off the padding (date_translator; attention always).")
    max_input_length: int | None = Field(None, gt=0, description="T_x: characters read; longer inputs are cut.")
    max_output_length: int | None = Field(None, gt=0, description="T_y: characters written at most.")


class Seq2Seq(Task):
    """Source string -> target string."""

    kind: ClassVar[str] = "seq2seq"
    Config: ClassVar[type[TaskConfig]] = Seq2SeqConfig
    config: Seq2SeqConfig

    def __init__(self, config: TaskConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.input_characters = ""  # symbol i + 2 stands for the i-th
        self.output_characters = ""  # symbol i stands for the i-th; the end symbol follows where there is one
        self.ends = True
        self.input_length = self.output_length = 0
        self.pairs_seen: dict[str, int] = {}
        self.surprise = (0.0, 1.0)
        self.reason = ""

    # -- data ---------------------------------------------------------------------------------------------------

    def strata(self, examples: Examples) -> NDArray[Any] | None:
        return None

    def suggest(self, train: Examples) -> dict[str, Any]:
        sources, targets = _strings(train)
        n = len(targets)
        longest_in = max((len(text) for text in sources), default=1)
        longest_out = max((len(text) for text in targets), default=1)
        exercise = self.config.network == "date_translator"
        long = longest_out > 40
        return {
            "task.embedding_size": 32,
            "task.encoder_size": 32 if exercise or not long else 128,
            "task.decoder_size": 64 if exercise or not long else 256,
            "task.attention_size": 10 if exercise else 32 if not long else 128,
            "task.dropout": 0.0 if n >= 5_000 and not long else 0.1,
            "task.max_input_length": min(max(longest_in, 1), LONGEST),
            "task.max_output_length": min(max(longest_out, 1), LONGEST),
            "training.lr": 0.005 if not long else 0.002,
            "training.weight_decay": 0.0,
            "training.batch_size": 32 if exercise or n < 2_000 else 100,
            # Pairs read in all; without its own output fed back the exercise's network learns in three times as many.
            "training.epochs": int(np.clip((150_000 if exercise else 48_000) / max(n, 1), 4, 60)),
            "training.clip_norm": 1.0,
        }

    def search_space(self, training: TrainingConfig) -> Space:
        config, space = self.config, super().search_space(training)
        for key, tier in (("encoder_size", MAIN), ("decoder_size", MAIN), ("attention_size", SHAPE)):
            value = getattr(config, key)
            if value is not None:
                space[f"task.{key}"] = around(value, tier, least=4)
        if config.network == "attention":
            space["task.cell"] = Parameter("choice", tier=SHAPE, default=config.cell, choices=("lstm", "gru"))
            space["task.dropout"] = dropout(config.dropout)
            if config.embedding_size is not None:
                space["task.embedding_size"] = around(config.embedding_size, SHAPE, least=4)
        space["training.label_smoothing"] = smoothing(training)
        return space

    def fit(self, train: Examples) -> None:
        sources, targets = _strings(train)
        if not targets:
            raise DataError("no pair has a target string", train.name, "Give lines of: source TAB target.")
        if len(set(targets)) < 2:
            what = f'every one of the {len(targets)} targets is "{targets[0]}"'
            raise DataError(what, train.name, "There is nothing to learn: check which column is the target.")
        if not any(targets) or not any(sources):
            side = "target" if not any(targets) else "source"
            raise DataError(f"every {side} string is empty", train.name, "Check which column is which.")
        chosen = {key.removeprefix("task."): value for key, value in self.suggest(train).items() if "task." in key}
        open_fields = {key: value for key, value in chosen.items() if getattr(self.config, key) is None}
        self.config = self.config.model_copy(update=open_fields)
        self.input_length = _size(self.config.max_input_length)
        self.output_length = _size(self.config.max_output_length)
        self.input_characters = "".join(sorted(set().union(*sources)))
        self.output_characters = "".join(sorted(set().union(*targets)))
        same_length = len({len(text) for text in targets}) == 1
        self.ends = not (self.config.network == "date_translator" and same_length)
        cut = sum(
            len(s) > self.input_length or len(t) > self.output_length for s, t in zip(sources, targets, strict=False)
        )
        self.reason = (
            f"pairs of strings, {len(self.input_characters)} input and {len(self.output_characters)} output characters"
        )
        if cut:
            self.reason += (
                f"; {cut} pairs are longer than {self.input_length} -> {self.output_length} characters and are cut"
            )
        self._fit_unlike(sources)

    def state(self) -> dict[str, Any]:
        return {
            "input_characters": self.input_characters,
            "output_characters": self.output_characters,
            "ends": self.ends,
            "input_length": self.input_length,
            "output_length": self.output_length,
            "pairs_seen": self.pairs_seen,
            "surprise": list(self.surprise),
            "reason": self.reason,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.input_characters, self.output_characters = state["input_characters"], state["output_characters"]
        self.ends, self.reason = bool(state["ends"]), str(state["reason"])
        self.input_length, self.output_length = int(state["input_length"]), int(state["output_length"])
        self.pairs_seen = {str(pair): int(count) for pair, count in state["pairs_seen"].items()}
        typical, edge = state["surprise"]
        self.surprise = (float(typical), float(edge))

    # -- symbols ------------------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """Number of the end symbol; equal to the number of output characters."""
        return len(self.output_characters)

    @property
    def input_symbols(self) -> int:
        """V_x: padding, unknown and the characters of train."""
        return len(self.input_characters) + 2

    @property
    def output_symbols(self) -> int:
        """V_y: the characters of train's targets, and the end where lengths differ or the network needs it."""
        return len(self.output_characters) + self.ends

    @property
    def steps(self) -> int:
        """T_y: how many symbols the network writes."""
        return self.output_length + self.ends

    def encode(self, sources: Sequence[str]) -> Tensor:
        """(n, T_x) int64, padded; unknown characters become one symbol, longer strings are cut."""
        number = {character: i + 2 for i, character in enumerate(self.input_characters)}
        tokens = np.full((len(sources), self.input_length), PAD, dtype=np.int64)
        for row, text in zip(tokens, sources, strict=True):
            symbols = [number.get(character, UNKNOWN) for character in text[: self.input_length]]
            # An empty string still needs something to look at.
            row[: max(len(symbols), 1)] = symbols or [UNKNOWN]
        return torch.from_numpy(tokens)

    def encode_targets(self, targets: Sequence[str]) -> tuple[Tensor, NDArray[np.int64]]:
        """(n, T_y) int64 with the end symbol and padding, and (n,) how many true symbols could not be encoded."""
        number = {character: i for i, character in enumerate(self.output_characters)}
        tokens = np.full((len(targets), self.steps), NOT_A_SYMBOL, dtype=np.int64)
        lost = np.zeros(len(targets), dtype=np.int64)
        for i, text in enumerate(targets):
            symbols = [number.get(character, NOT_A_SYMBOL) for character in text] + [self.end] * self.ends
            kept = symbols[: self.steps]
            tokens[i, : len(kept)] = kept
            lost[i] = len(symbols) - sum(symbol != NOT_A_SYMBOL for symbol in kept)
        return torch.from_numpy(tokens), lost

    def decode(self, symbols: NDArray[np.int64]) -> list[str]:
        """(n, T_y) symbols -> strings, each up to its end symbol."""
        texts = []
        for row in symbols.tolist():
            row = row[: row.index(self.end)] if self.end in row else row
            texts.append("".join(self.output_characters[symbol] for symbol in row))
        return texts

    # -- training -----------------------------------------------------------------------------------------------

    def network(self) -> nn.Module:
        config = self.config
        if config.network == "date_translator":
            return DateTranslator(
                self.input_symbols,
                self.output_symbols,
                output_length=self.steps,
                encoder_size=_size(config.encoder_size),
                decoder_size=_size(config.decoder_size),
                attention_size=_size(config.attention_size),
                double_bias=config.double_bias,
                pad=PAD,
                mask_pads=config.mask_pads,
            )
        return AttentionSeq2Seq(
            self.input_symbols,
            self.output_symbols,
            output_length=self.steps,
            embedding_size=_size(config.embedding_size),
            encoder_size=_size(config.encoder_size),
            decoder_size=_size(config.decoder_size),
            attention_size=_size(config.attention_size),
            cell=config.cell,
            dropout=config.dropout or 0.0,
            pad=PAD,
            end=self.end,
        )

    def objective(
        self, network: nn.Module, train: Examples, dev: Examples | None, training: TrainingConfig
    ) -> Objective:
        if training.class_weights != "none":
            raise ConfigError("strings have no classes to weigh", "training.class_weights", "Set it to none.")
        return _Seq2SeqObjective(self, network, train, dev, training)

    def expected_loss(self) -> float | None:
        """log V_y: each of the output symbols is as likely as another."""
        return float(np.log(self.output_symbols))

    # -- answers ------------------------------------------------------------------------------------------------

    def answers(self, network: nn.Module, examples: Examples, ids: NDArray[np.int64] | None = None) -> Answers:
        """Answers, with "confidence" the probability of the whole string.

        Where the examples carry targets: "nll" (n,) nats of the true string under teacher forcing and "tokens" (n,)
        how many symbols it has; NaN and 0 where unknown.
        """
        network.eval()
        sources = [str(examples[i].input) for i in range(len(examples))]
        targets = list(examples.targets())

        def said(first: int, stop: int) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
            tokens = self.encode(sources[first:stop]).to(_device(network))
            log_probs, symbols = network(self._trim(tokens)).log_softmax(dim=-1).max(dim=-1)  # (B, T_y) each
            past_end = (symbols == self.end).cumsum(dim=1) - (symbols == self.end).long() > 0
            confidence = log_probs.masked_fill(past_end, 0.0).sum(dim=1).exp().cpu().double().numpy()
            return self.decode(symbols.cpu().numpy()), confidence, self._true_nll(network, tokens, targets[first:stop])

        texts: list[str] = []
        confidence, nll = [np.zeros(0)], [np.zeros(0)]
        with torch.inference_mode():
            for strings, sure, nats in self.halving.pieces(said, len(sources), ANSWER_BATCH, "answering strings"):
                texts += strings
                confidence.append(sure)
                nll.append(nats)
        values: dict[str, NDArray[Any]] = {
            "answer": np.array(texts, dtype=str) if texts else np.zeros(0, dtype="U1"),
            "confidence": np.concatenate(confidence),
        }
        if any(target is not None for target in targets):
            values["nll"] = np.concatenate(nll)
            values["tokens"] = np.array([0 if t is None else len(t) + self.ends for t in targets], dtype=np.int64)
        return Answers(values, np.arange(len(examples)) if ids is None else ids)

    def _true_nll(self, network: nn.Module, tokens: Tensor, targets: Sequence[str | None]) -> NDArray[np.float64]:
        """(B,) nats of the true strings, NaN where there is none."""
        known = [i for i, target in enumerate(targets) if target is not None]
        nll = np.full(len(targets), np.nan)
        if known:
            symbols, lost = self.encode_targets([str(targets[i]) for i in known])
            symbols = symbols.to(tokens.device)
            logits = network.taught(self._trim(tokens[known]), symbols)  # type: ignore[operator]
            losses = F.cross_entropy(logits.flatten(0, 1), symbols.flatten(), reduction="none")
            nll[known] = losses.reshape(symbols.shape).sum(dim=1).cpu().numpy() + IMPOSSIBLE * lost
        return nll

    def _trim(self, tokens: Tensor) -> Tensor:
        """Without columns of padding only; the exercise's network reads all of T_x."""
        if self.config.network == "date_translator":
            return tokens
        return tokens[:, : int((tokens != PAD).sum(dim=1).max().item())]

    def features(self, network: nn.Module, examples: Examples) -> NDArray[np.float32]:
        """(n, states) the encoder's states of the input, averaged over its symbols."""
        sources = [str(example.input) for example in examples]

        def seen(first: int, stop: int) -> NDArray[np.float32]:
            tokens = self._trim(self.encode(sources[first:stop]).to(_device(network)))
            states, _ = network.eval().encode(tokens)  # type: ignore[operator]
            real = (tokens != PAD).unsqueeze(-1)
            found: NDArray[np.float32] = ((states * real).sum(1) / real.sum(1).clamp_min(1)).cpu().numpy()
            return found

        with torch.inference_mode():
            return np.concatenate(list(self.halving.pieces(seen, len(sources), ANSWER_BATCH, "computing features")))

    def score(self, answers: Answers, examples: Examples) -> Scores:
        nll, tokens = answers.values.get("nll"), answers.values.get("tokens")
        loss = None if nll is None or tokens is None else nll / np.maximum(tokens, 1)
        return self._scores(answers.values["answer"].tolist(), examples, answers.ids, loss)

    def _scores(
        self, texts: Sequence[str], examples: Examples, ids: NDArray[np.int64], loss: NDArray[np.float64] | None = None
    ) -> Scores:
        """Records of the pairs that have a target.

        loss: (n,) nats a symbol; without a probability of its own a system pays log V_y for each edit.
        """
        targets = examples.targets()
        rows = np.array([i for i, target in enumerate(targets) if target is not None], dtype=np.int64)
        truth, answer = [str(targets[i]) for i in rows], [texts[i] for i in rows]
        edits = np.array([edit_distance(a, t) for a, t in zip(answer, truth, strict=True)], dtype=np.float64)
        length = np.array([len(t) for t in truth], dtype=np.float64)
        if loss is None:
            loss = np.zeros(len(texts))
            loss[rows] = edits / np.maximum(length, 1) * np.log(max(self.output_symbols, 2))
        records = {
            "wrong": np.array([a != t for a, t in zip(answer, truth, strict=True)], dtype=np.float64),
            "edits": edits,
            "length": length,
            "answer_length": np.array([len(a) for a in answer], dtype=np.float64),
            "loss": np.asarray(loss, dtype=np.float64)[rows],
            "tokens": length + self.ends,
        }
        groups = None if examples.groups is None else examples.groups[rows]
        return Scores(records, np.asarray(ids)[rows], groups)

    def metrics(self) -> dict[str, Metric]:
        return string_metrics()

    def baselines(self, train: Examples, dev: Examples, dev_ids: NDArray[np.int64]) -> list[Baseline]:
        """The commonest string, the answer to the most similar source, and the source itself where that ever fits."""
        rows = _spread(len(train), TRAIN_SAMPLE)
        sources, targets = _strings(train.take(rows))
        new = [str(dev[i].input) for i in range(len(dev))]
        start = time.perf_counter()
        common = Counter(targets).most_common(1)[0][0]
        found = [Baseline("commonest string", self._scores([common] * len(new), dev, dev_ids), _since(start))]
        start = time.perf_counter()
        nearest = [targets[i] for i in nearest_strings(new, sources)]
        found.append(Baseline("most similar source's answer", self._scores(nearest, dev, dev_ids), _since(start)))
        if any(source == target for source, target in zip(sources, targets, strict=True)):
            start = time.perf_counter()
            found.append(Baseline("copy of the source", self._scores(new, dev, dev_ids), _since(start)))
        return found

    # -- what people see ----------------------------------------------------------------------------------------

    def show(self, example: Example, answers: Answers, row: int, network: nn.Module | None = None) -> Card:
        text, values = str(example.input), answers.values
        heat, written = None, str(values["answer"][row])
        if network is not None and text:
            heat = self.attention(network, text)[: max(len(written), 1)]
        loss = None
        if "nll" in values and not np.isnan(values["nll"][row]):
            loss = float(values["nll"][row] / max(values["tokens"][row], 1))
        return Card(
            kind="strings",
            title=str(example.origin),
            truth="" if example.target is None else str(example.target),
            answer=written,
            confidence=float(values["confidence"][row]) if "confidence" in values else None,
            loss=loss,
            text=text,
            heat=heat,
            row_labels=() if heat is None else list(written) or ["(end)"],
            column_labels=() if heat is None else list(text[: self.input_length]),
        )

    def attention(self, network: nn.Module, source: str) -> NDArray[np.float32]:
        """(T_y, characters read) weight that each output gave to each input character."""
        network.eval()
        with torch.inference_mode():
            _, weights = network.attend(self._trim(self.encode([source])).to(_device(network)))  # type: ignore[operator]
        return weights[0, :, : max(min(len(source), self.input_length), 1)].cpu().float().numpy()

    def unlike_train(self, examples: Examples) -> NDArray[np.float64]:
        typical, edge = self.surprise
        sources = [str(examples[i].input) for i in range(len(examples))]
        scores = (np.array([self._surprise(text) for text in sources]) - typical) / (edge - typical)
        known = set(self.input_characters)
        strange = np.array([any(c not in known for c in text) or len(text) > self.input_length for text in sources])
        # A character that train never held lies outside it, however ordinary the rest.
        return np.where(strange, np.maximum(scores, 0) + 1, np.maximum(scores, 0)) if sources else np.zeros(0)

    def _surprise(self, text: str) -> float:
        """Mean nats of each character given the one before, by train's counts plus one."""
        v, total = len(self.input_characters) + 1, 0.0
        for pair in zip("\n" + text, text + "\n", strict=True):
            count = self.pairs_seen.get("".join(pair), 0)
            total -= float(np.log((count + 1) / (self.pairs_seen.get(pair[0], 0) + v)))
        return total / (len(text) + 1)

    def _fit_unlike(self, sources: Sequence[str]) -> None:
        """Calibrate surprise: the median of train is 0, its most surprising string 1."""
        counts: Counter[str] = Counter()
        for text in sources:
            firsts, seconds = "\n" + text, text + "\n"
            counts.update(firsts)
            counts.update(a + b for a, b in zip(firsts, seconds, strict=True))
        self.pairs_seen = dict(counts)
        surprises = [self._surprise(sources[i]) for i in _spread(len(sources), TRAIN_SAMPLE)]
        typical, edge = float(np.median(surprises)), float(np.max(surprises))
        self.surprise = (typical, max(edge, typical + 0.1))

    # -- export -------------------------------------------------------------------------------------------------

    def example_inputs(self, batch_size: int = 2) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(2, self.input_symbols, (batch_size, self.input_length), generator=generator)
        lengths = torch.randint(1, self.input_length + 1, (batch_size, 1), generator=generator)
        return (tokens.masked_fill(torch.arange(self.input_length) >= lengths, PAD),)

    def input_names(self) -> list[str]:
        return ["tokens"]

    def preprocessing(self) -> dict[str, Any]:
        return {
            "layout": f"batch, {self.input_length} symbols",
            "padding": PAD,
            "unknown": UNKNOWN,
            "characters": {character: i + 2 for i, character in enumerate(self.input_characters)},
            "outputs": "logits (batch, step, symbol); the likeliest symbols, up to the end symbol, are the answer",
            "output_characters": list(self.output_characters),
            "end": self.end if self.ends else None,
        }


class _Seq2SeqObjective(Objective):
    """Summed cross-entropy of the true symbols, the end among them; count = symbols."""

    sharded = True

    def __init__(
        self, task: Seq2Seq, network: nn.Module, train: Examples, dev: Examples | None, training: TrainingConfig
    ) -> None:
        self.task, self._network, self.training, self.dev = task, network, training, dev
        sources, targets = _strings(train)
        self.tokens = task.encode(sources).int()  # half the memory; made long batch by batch
        self.targets = task.encode_targets(targets)[0].int()
        self.batch_size = _size(training.batch_size)
        self.loader: MemoryLoader | None = None

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self._network.named_parameters())

    def network(self) -> nn.Module:
        return self._network

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        if self.loader is None:  # the processes have found each other only now
            tensors = (self.tokens, self.targets)
            self.loader = MemoryLoader(tensors, self.batch_size, self.task.seed, rank=rank(), world=world())
        return self.loader.batches(epoch, start)

    def batches_per_epoch(self) -> int:
        return num_batches(len(self.tokens), self.batch_size)

    def loss(self, batch: Any) -> LossSum:
        device = _device(self._network)
        tokens, targets = batch[0].to(device).long(), batch[1].to(device).long()
        longest = int((targets != NOT_A_SYMBOL).sum(dim=1).max().item()) if self.task.ends else targets.shape[1]
        targets = targets[:, :longest]
        logits = self._network.taught(self.task._trim(tokens), targets)  # type: ignore[operator]
        loss = F.cross_entropy(
            logits.flatten(0, 1),
            targets.flatten(),
            ignore_index=NOT_A_SYMBOL,
            reduction="sum",
            label_smoothing=self.training.label_smoothing,
        )
        return loss, float((targets != NOT_A_SYMBOL).sum().item()), {}

    def evaluate(self) -> dict[str, float]:
        if self.dev is None:
            return {}
        answers = self.task.answers(self._network, self.dev)
        if "nll" not in answers.values:
            return {}
        scores = self.task.score(answers, self.dev)
        loss = np.average(scores.records["loss"], weights=np.maximum(scores.records["tokens"], 1))
        return {"loss": float(loss), "error": float(scores.records["wrong"].mean())}


def nearest_strings(new: Sequence[str], known: Sequence[str], candidates: int = 10) -> list[int]:
    """Position of the known string with the fewest edits to each new one, among those sharing most character pairs.

    Edit distance to every known string would take minutes; counts of pairs of neighbouring characters pick
    `candidates` first.
    """
    pairs = sorted({pair for text in known for pair in _pairs(text)})
    column = {pair: i for i, pair in enumerate(pairs)}

    def counts(texts: Sequence[str]) -> NDArray[np.float32]:
        table = np.zeros((len(texts), len(pairs)), dtype=np.float32)
        for row, text in zip(table, texts, strict=True):
            for pair in _pairs(text):
                if pair in column:
                    row[column[pair]] += 1
        return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)

    table, best = counts(known), []
    k = min(candidates, len(known))
    for first in range(0, len(new), 500):
        chunk = new[first : first + 500]
        similar = counts(chunk) @ table.T  # cosines
        nearest = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        for text, rows in zip(chunk, nearest.tolist(), strict=True):
            best.append(min(rows, key=lambda i: (edit_distance(text, known[i]), i)))
    return best


def _pairs(text: str) -> list[str]:
    return [a + b for a, b in zip("\n" + text, text + "\n", strict=True)]


def _strings(examples: Examples) -> tuple[list[str], list[str]]:
    """Sources and targets of the pairs that have both."""
    targets = examples.targets()
    rows = [i for i, target in enumerate(targets) if target is not None]
    return [str(examples[i].input) for i in rows], [str(targets[i]) for i in rows]


def _spread(n: int, count: int) -> NDArray[np.int64]:
    """At most `count` of 0..n-1, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(np.int64)) if n else np.zeros(0, np.int64)


def _size(value: int | None) -> int:
    assert value is not None, "the config of a run is complete; fit fills what a task made by hand leaves open"
    return value


def _since(start: float) -> float:
    return time.perf_counter() - start


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
