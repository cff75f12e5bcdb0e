"""Is synthesised data worth as much as it sounds? Words in noise, trained with one noise clip and with a hundred.

    python examples/decisions/synthesis.py

300 clean words are mixed at 0 dB with pieces of one second of noise, or of a hundred different seconds. People hear no
difference between the two training sets; on noise that neither has heard the diverse one wins.
"""

from __future__ import annotations

import numpy as np
import torch
from fit import accuracy, fit, mlp

from orthogon.data.mix import Diversity, diversity, mix_at_snr
from orthogon.data.tones import RATE, WORDS, log_spectrogram, noise_bed, say

SAMPLES = 1400  # of every clip; shorter words are followed by silence
SNR_DB = -3.0


def clips(num: int, beds: list[np.ndarray], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, Diversity]:
    """Spectrograms (num, d) of noisy words, the words, and what the mixtures were made of."""
    names = list(WORDS)
    rows, labels, uses = [], [], []
    for k in range(num):
        label = k % len(names)
        wave = say(WORDS[names[label]], rng).wave[:SAMPLES]
        speech = np.pad(wave, (0, SAMPLES - len(wave)))
        bed, start = int(rng.integers(len(beds))), int(rng.integers(RATE))
        rows.append(log_spectrogram(mix_at_snr(speech, beds[bed], SNR_DB, start)).ravel())
        labels.append(label)
        uses.append((k, bed, start))
    made_of = diversity(uses, [SAMPLES] * num, [len(bed) for bed in beds], RATE)
    return torch.tensor(np.stack(rows)), torch.tensor(labels), made_of


def experiment(seed: int, num_train: int = 300, num_test: int = 400) -> dict[str, tuple[float, Diversity]]:
    """Noise pool -> (accuracy on words in unseen noise, what train was made of)."""
    pools = {"one noise clip": [0], "a hundred": list(range(100))}
    unseen = [noise_bed(1.0, 10_000 + 1000 * seed + k) for k in range(100)]
    x_test, y_test, _ = clips(num_test, unseen, np.random.default_rng(seed + 99))
    found = {}
    for name, seeds in pools.items():
        beds = [noise_bed(1.0, 1000 * seed + k) for k in seeds]
        x, y, made_of = clips(num_train, beds, np.random.default_rng(seed))
        mean, spread = x.mean(0), x.std(0) + 0.1
        torch.manual_seed(seed)
        net = fit(mlp(x.shape[1], 64, len(WORDS)), (x - mean) / spread, y, steps=120, seed=seed)
        found[name] = accuracy(net, (x_test - mean) / spread, y_test), made_of
    return found


def main() -> None:
    runs = [experiment(seed) for seed in range(4)]
    for name in runs[0]:
        values = [run[name][0] for run in runs]
        print(f"{name:16} words right in unseen noise {np.mean(values):.1%}  ({', '.join(f'{v:.0%}' for v in values)})")
        print(f"  {runs[0][name][1]}")
        for finding in runs[0][name][1].findings():
            print(f"  {finding.severity}: {finding.message} {finding.remedy}")


if __name__ == "__main__":
    main()
