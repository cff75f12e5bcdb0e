"""The wake word: as many heard as possible, with at most one false alarm in 24 hours.

    python examples/decisions/wakeword.py

The trigger is a chirp that rises, in noise; what else is heard falls, speaks or hums. A small network scores stretches
of sound; the threshold is tuned on dev and tried on as many new hours.
"""

from __future__ import annotations

import numpy as np
import torch
from fit import fit, mlp

from orthogon.data.mix import mix_at_snr
from orthogon.data.tones import WORDS, chirp, log_spectrogram, noise_bed, say
from orthogon.metrics.wakeword import WakeThreshold, wake_threshold

SAMPLES, SNR_DB, STRETCH_SECONDS = 1400, 0.0, 2.0  # a stretch of two seconds is judged by its loudest part


def stretches(num: int, trigger: bool, seed: int) -> torch.Tensor:
    """Spectrograms (num, d) with the trigger in them, or with anything else."""
    rng = np.random.default_rng((seed, trigger))
    beds = [noise_bed(1.0, 100 * seed + k) for k in range(60)]
    rows = []
    for _ in range(num):
        kind = "up" if trigger else rng.choice(["down", "word", "hum"], p=[0.2, 0.5, 0.3])
        if kind in ("up", "down"):
            wave = chirp(rng, up=kind == "up")
        else:
            wave = say(list(WORDS.values())[rng.integers(len(WORDS))], rng).wave if kind == "word" else np.zeros(0)
        wave = wave[:SAMPLES]
        at = int(rng.integers(SAMPLES - len(wave) + 1))
        speech = np.zeros(SAMPLES)
        speech[at : at + len(wave)] = wave
        bed = beds[rng.integers(len(beds))]
        start = int(rng.integers(len(bed)))
        sound = (
            mix_at_snr(speech, bed, SNR_DB, start) if len(wave) else 0.5 * np.take(bed, np.arange(SAMPLES), mode="wrap")
        )
        rows.append(log_spectrogram(sound).ravel())
    return torch.tensor(np.stack(rows))


def experiment(seed: int, hours: float = 3.0, num_words: int = 300) -> tuple[WakeThreshold, float, float]:
    """(threshold tuned on dev, recall on new sound, false alarms a day on new sound)."""
    num = round(hours * 3600 / STRETCH_SECONDS)
    x = torch.cat([stretches(400, True, 3 * seed), stretches(1200, False, 3 * seed)])
    y = torch.cat([torch.ones(400), torch.zeros(1200)]).long()
    mean, spread = x.mean(0), x.std(0) + 0.1
    torch.manual_seed(seed)
    net = fit(mlp(x.shape[1], 48, 2), (x - mean) / spread, y, steps=250, seed=seed)

    def scores(part: int, trigger: bool, count: int) -> np.ndarray:
        with torch.no_grad():
            logits = net((stretches(count, trigger, 3 * seed + part) - mean) / spread)
        return (logits[:, 1] - logits[:, 0]).numpy()

    chosen = wake_threshold(scores(1, True, num_words), scores(1, False, num), hours)
    heard, alarms = scores(2, True, num_words) >= chosen.value, scores(2, False, num) >= chosen.value
    return chosen, float(heard.mean()), float(alarms.sum() * 24 / hours)


def main() -> None:
    for seed in range(3):
        chosen, recall, per_day = experiment(seed)
        print(f"dev: {chosen.reason}\nnew sound: {recall:.1%} heard, {per_day:.1f} false alarms a day")


if __name__ == "__main__":
    main()
