"""The example sentences of WordNet 3.0: 42,675 sentences and phrases of 3 to 20 tokens, in English.

WordNet describes each sense of a word by a gloss: a definition, then examples in double quotes, as in
``annoying persistently; "nagged by doubts"; "a nagging wife"- Author``. The examples are the data set. They
are short, and edited by the same few hands, so that a small model can learn them. They illustrate words, so
that rare words are frequent among them.

What is pinned is the SHA-256 of WordNet's four data files, one after the other, of Debian's package
`wordnet-base` 1:3.0-37; the archive of a mirror holds the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dgmbench.data import streams
from dgmbench.data.fetch.archives import deb_data, tar_members
from dgmbench.data.fetch.raw import Form, RawFile, RawSet
from dgmbench.data.schema import Schema, TokenTarget
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import Sentence, Split, dealt
from dgmbench.data.text import tokenize, words_of

FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
SIZE = 21_744_738
SHORTEST, LONGEST = 3, 20
# 4,000 sentences: the standard error of nats per token is then about 0.02.
HELD_OUT = {"valid": 4000, "test": 4000}
# So that each word was seen in training three times or more, as 8,560 were: nothing can be learnt of a word
# from one sentence. The size is fixed, since models are built before the data are. Of the words of test
# sentences 14 % are then UNKNOWN; with the 13,100 words that were seen twice it were 11 %.
VOCABULARY = 8000
# What may stand before and after a quotation that is an example. Others are parts of a definition
# ("as in the phrase "on the job""), or of a sentence that goes on after them ("..." he said).
_BEFORE, _AFTER = re.compile(r"(^|[;,:.])\s*$"), re.compile(r"^\s*($|[;,:.(]|-)")


def read_tar(content: bytes) -> bytes:
    """The four data files, one after the other, in a tar archive that holds them; `ValueError` if none."""
    members = tar_members(content, FILES, SIZE)
    return b"".join(members[name] for name in FILES)


def read_deb(content: bytes) -> bytes:
    """The same of a Debian package."""
    return read_tar(deb_data(content))


WORDNET_RAW = RawSet(
    folder="wordnet",
    files=(
        RawFile(
            "wordnet-3.0-data",
            "9c33953116f661f96b2af6815ea87a505a54cd48e72994ba47bca5aad58840a6",
            SIZE,
            forms=(
                Form("wordnet-3.0-data.tar.xz", read_tar),
                Form("wordnet-base_3.0-37_all.deb", read_deb),
            ),
        ),
    ),
    urls=(
        "https://deb.debian.org/debian/pool/main/w/wordnet/",
        # Debian's archive of old versions, as of the release of Debian 12.
        "https://snapshot.debian.org/archive/debian/20230610T000000Z/pool/main/w/wordnet/",
    ),
)


def glosses(content: bytes) -> Iterator[str]:
    """The gloss of every line of the data files (wndb(5WN)); lines of the licence begin with a space."""
    for line in content.decode("ascii").splitlines():
        if line and not line.startswith(" "):
            yield line.partition("| ")[2].strip()


def examples_of(gloss: str) -> list[str]:
    """The examples in a gloss, without their quotes and attributions.

    Quotes within an example are single ones (`` `so' ``), which stay. A gloss with an odd number of double
    quotes is damaged: 20 are, and give no examples.
    """
    parts = gloss.split('"')
    if len(parts) % 2 == 0:
        return []
    return [
        parts[i].strip()
        for i in range(1, len(parts), 2)
        if _BEFORE.search(parts[i - 1]) and _AFTER.search(parts[i + 1])
    ]


def sentences(content: bytes) -> list[Sentence]:
    """The tokenized examples of 3 to 20 tokens, each once, in WordNet's order.

    Examples that differ in punctuation or case alone count as one, and the first is kept.
    """
    kept: dict[tuple[str, ...], Sentence] = {}
    for gloss in glosses(content):
        for sentence in map(tokenize, examples_of(gloss)):
            if SHORTEST <= len(sentence) <= LONGEST:
                kept.setdefault(words_of(sentence), sentence)
    return list(kept.values())


def cut_wordnet(contents: dict[str, bytes], seed: int) -> dict[str, Split]:
    """4,000 sentences each for validation and test, drawn with the data seed; the others for training."""
    (content,) = contents.values()
    found = sentences(content)
    parts = dealt(len(found), HELD_OUT, streams.generator(seed, "split"))
    return {split: Split([found[i] for i in chosen]) for split, chosen in parts.items()}


WORDNET = DatasetSpec(
    name="wordnet",
    title="Example sentences of WordNet 3.0",
    licence="WordNet 3.0 license (Princeton University)",
    homepage="https://wordnet.princeton.edu/",
    schema=Schema(TokenTarget(length=LONGEST + 1, vocabulary=VOCABULARY)),
    views=("tokens",),
    raw=WORDNET_RAW,
    cut=cut_wordnet,
)
