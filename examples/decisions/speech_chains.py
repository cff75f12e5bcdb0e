"""From sound to words in many steps, in some, or in one.

    python examples/decisions/speech_chains.py

Forty words of two to four tones, in noise.
features   sound -> pitch and loudness by hand -> phonemes -> words by a dictionary
hybrid     sound -> phonemes, learned from the spectrogram -> words by a dictionary
end to end sound -> words, learned whole
The more steps, the more is known beforehand, and the less data it takes.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from fit import fit, mlp

from orthogon.data.mix import mix_at_snr
from orthogon.data.tones import PITCHES, RATE, log_spectrogram, noise_bed, say

SIZES = (20, 200, 2000)
SAMPLES, FRAME, HOP, SNR_DB = 1200, 128, 64, 5.0
SILENCE = len(PITCHES)


def lexicon(num: int = 40) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(0)
    every = [w for n in (2, 3, 4) for w in itertools.permutations(range(len(PITCHES)), n)]
    return [every[int(k)] for k in rng.choice(len(every), num, replace=False)]


WORDS = lexicon()


def clips(num: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectrograms (num, T, F), the phoneme of each frame (num, T), the word of each clip (num,)."""
    rng = np.random.default_rng(seed)
    beds = [noise_bed(1.0, 50 * seed + k) for k in range(40)]
    rows, frames, words = [], [], []
    for k in range(num):
        word = k % len(WORDS)
        spoken = say(WORDS[word], rng)
        wave = np.pad(spoken.wave, (0, max(0, SAMPLES - len(spoken.wave))))[:SAMPLES]
        sound = mix_at_snr(wave, beds[rng.integers(len(beds))], SNR_DB, int(rng.integers(RATE)))
        rows.append(log_spectrogram(sound, FRAME, HOP))
        middles = np.arange(len(rows[-1])) * HOP + FRAME // 2
        at = np.searchsorted(spoken.starts, middles, side="right") - 1
        frames.append(np.where(middles < len(spoken.wave), np.array(spoken.phonemes)[at], SILENCE))
        words.append(word)
    return np.stack(rows), np.stack(frames), np.array(words)


def by_hand(spectrograms: np.ndarray) -> np.ndarray:
    """(num, T, 3) what an engineer measures: log pitch of the loudest place, how loud it is, and the frame."""
    power = spectrograms[..., 8:40]
    peak = power.argmax(-1) + 8
    return np.stack([np.log(peak), power.max(-1) / 5, spectrograms.mean(-1) / 5], -1).astype(np.float32)


def best_word(log_probs: np.ndarray) -> int:
    """The word whose phonemes, each at least a frame long and silence after them, fit the frames (T, P) best."""
    scores = []
    for word in WORDS:
        states = [*word, SILENCE]
        best = np.full(len(states), -np.inf)
        best[0] = log_probs[0, states[0]]
        for row in log_probs[1:]:
            entered = np.concatenate([[-np.inf], best[:-1]])
            best = np.maximum(best, entered) + row[states]
        scores.append(max(best[-1], best[-2]))
    return int(np.argmax(scores))


def experiment(seed: int, sizes: tuple[int, ...] = SIZES, num_test: int = 200) -> dict[int, dict[str, float]]:
    """Clips in train -> chain -> share of words right."""
    test, _, test_words = clips(num_test, 1000 + seed)
    found: dict[int, dict[str, float]] = {}
    for m in sizes:
        x, frames, words = clips(m, seed)
        found[m] = {}
        for name, look, width in (("features", by_hand, 16), ("hybrid", lambda s: s, 48)):
            seen, new = look(x), look(test)
            mean, spread = seen.mean((0, 1)), seen.std((0, 1)) + 0.1
            flat = torch.tensor((seen - mean) / spread).flatten(0, 1)
            torch.manual_seed(seed)
            net = fit(mlp(flat.shape[1], width, SILENCE + 1), flat, torch.tensor(frames).flatten(), steps=400, lr=1e-2)
            with torch.no_grad():
                log_probs = net(torch.tensor((new - mean) / spread)).log_softmax(-1).numpy()
            found[m][name] = float(np.mean([best_word(each) for each in log_probs] == test_words))
        mean, spread = x.mean(0), x.std(0) + 0.1
        whole = torch.tensor((x - mean) / spread).flatten(1)
        torch.manual_seed(seed)
        net = fit(mlp(whole.shape[1], 96, len(WORDS)), whole, torch.tensor(words), steps=250 + m // 8)
        with torch.no_grad():
            answers = net(torch.tensor((test - mean) / spread).flatten(1)).argmax(1).numpy()
        found[m]["end to end"] = float((answers == test_words).mean())
    return found


def main() -> None:
    runs = [experiment(seed) for seed in range(3)]
    print("clips   " + "".join(f"{name:>12}" for name in runs[0][SIZES[0]]))
    for m in SIZES:
        print(f"{m:5}   " + "".join(f"{np.mean([run[m][name] for run in runs]):12.1%}" for name in runs[0][m]))


if __name__ == "__main__":
    main()
