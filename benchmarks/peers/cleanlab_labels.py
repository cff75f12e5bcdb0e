"""What cleanlab suspects, from the same probabilities: run in an environment that has it.

    python benchmarks/peers/cleanlab_labels.py IN.npz OUT.json        IN: labels (n,), probs (n, C)

OUT: rows, the most suspect first (prune by noise rate, ranked by self-confidence), then the rest by self-confidence.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_self_confidence_for_each_label


def main() -> None:
    arrays = np.load(sys.argv[1], allow_pickle=False)
    labels, probs = arrays["labels"], arrays["probs"]
    found = find_label_issues(labels, probs, filter_by="prune_by_noise_rate", n_jobs=1)
    own = get_self_confidence_for_each_label(labels, probs)
    rows = np.lexsort((own, ~found))
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump({"rows": rows.tolist(), "issues": int(found.sum())}, file)


if __name__ == "__main__":
    main()
