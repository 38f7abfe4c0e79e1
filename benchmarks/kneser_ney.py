"""Perplexity of n-gram models of WordNet's sentences: what a neural language model should beat.

    python -m stages.prepare --dataset wordnet
    python benchmarks/kneser_ney.py

Interpolated Kneser-Ney smoothing (Chen & Goodman 1999, sections 2.7 and 4.1.6), with one discount per order,
n1 / (n1 + 2 n2) (Ney, Essen & Kneser 1994). The lowest order is interpolated with the uniform distribution.
Sentences, ends and the free last place are those of `dgmbench.models.sequence.token_model`. With data seed 0
the test perplexity is 133 with two words, 124 with three and 123 with four; a unigram has 290.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dgmbench.data.dataset import load_dataset
from dgmbench.data.schema import TokenTarget

Ngram = tuple[int, ...]


class KneserNey:
    """Orders 1 to `order`, each with the counts, the discount and the weight of what is below it."""

    def __init__(self, sentences: np.ndarray, order: int, vocabulary: int) -> None:
        self.order = order
        self.uniform = 1 / (vocabulary - 1)  # padding has none
        counts = [Counter[Ngram]() for _ in range(order)]
        for before, token in events(sentences, order):
            counts[-1][(*before, token)] += 1
        # Below the highest order, in how many contexts an n-gram stands rather than how often.
        for lower in range(order - 2, -1, -1):
            counts[lower].update(Counter(ngram[1:] for ngram in counts[lower + 1]))
        self.counts = counts
        self.discounts, self.totals, self.kinds = [], [], []
        for found in counts:
            ones, twos = (sum(count == k for count in found.values()) for k in (1, 2))
            self.discounts.append(ones / (ones + 2 * twos))
            totals: defaultdict[Ngram, int] = defaultdict(int)
            kinds: defaultdict[Ngram, int] = defaultdict(int)
            for ngram, count in found.items():
                totals[ngram[:-1]] += count
                kinds[ngram[:-1]] += 1
            self.totals.append(totals)
            self.kinds.append(kinds)

    def probability(self, before: Ngram, token: int) -> float:
        """P(token | before), `before` of order - 1 tokens."""
        found = self.uniform
        for level in range(self.order):
            context = before[len(before) - level :]
            total = self.totals[level].get(context, 0)
            if total == 0:
                break
            discount = self.discounts[level]
            kept = max(self.counts[level].get((*context, token), 0) - discount, 0.0)
            found = (kept + discount * self.kinds[level][context] * found) / total
        return found


def events(sentences: np.ndarray, order: int) -> Iterator[tuple[Ngram, int]]:
    """Every token that costs something, with the order - 1 tokens before it; ends stand before the first."""
    for row in sentences.tolist():
        read = [TokenTarget.END] * (order - 1)
        for token in row[:-1]:
            if token == TokenTarget.PAD:
                break
            yield tuple(read[len(read) - order + 1 :]), token
            read.append(token)


def perplexity(model: KneserNey, sentences: np.ndarray) -> float:
    """exp of the mean nats per token, ends included."""
    nats = -sum(math.log(model.probability(*event)) for event in events(sentences, model.order))
    return math.exp(nats / int((sentences != TokenTarget.PAD).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path("data"))
    data = load_dataset("wordnet", parser.parse_args().root)
    vocabulary = data.schema.tokens.vocabulary
    for order in (2, 3, 4):
        model = KneserNey(data.examples("train"), order, vocabulary)
        for before in ((TokenTarget.END,) * (order - 1), (4, 7, 5)[: order - 1], (50, 2, 900)[: order - 1]):
            total = sum(model.probability(before, token) for token in range(1, vocabulary))
            assert math.isclose(total, 1.0, abs_tol=1e-9), total
        valid, test = (perplexity(model, data.examples(split)) for split in ("valid", "test"))
        print(f"order {order}: validation {valid:.2f}, test {test:.2f}")


if __name__ == "__main__":
    main()
