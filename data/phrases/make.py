#!/usr/bin/env python3
"""Write train.tsv and test.tsv beside this script: tiny phrases from a grammar.

Each line is `label<TAB>phrase`; label 1 says the food is praised, 0 that it is
not.  The grammar has two kinds of phrase:

  single:  FOOD is  [not|never] [very] TASTE [now|today]
           FOOD was [not|never] [very] TASTE [before|yesterday]
  double:  FOOD was TASTE [before|yesterday] but is [not] TASTE [now|today]
           FOOD is [not] TASTE [now|today] but was TASTE [before|yesterday]

Words in square brackets may be left out of a single phrase; in a double phrase
only `not` may.  Of the time words, `never` goes with `before` only.  The two
halves of a double phrase always disagree, as `but` asks for.

The rule for the label: a half is good if its taste word is a good one, and
`not` or `never` turns it round.  A single phrase has the label of its only
half.  In a double phrase what holds now counts, wherever it stands, so
"bread was bad before but is fresh now" is 1 and
"bread is stale now but was good before" is 0.

The script lists every phrase of the grammar and shuffles them with a small
generator of its own, so that every Python version writes the same files.  It
then deals a fixed number from each group of phrases to the two files, so that
labels, taste words, negation and order are balanced in both.  No phrase is
dealt twice, and every word of the test phrases must be in the training
phrases; the script stops if that does not hold.

Usage: python3 make.py
"""

import itertools
import os
import sys

FOODS = ("soup", "tea", "bread", "cake")
TASTES = {"good": 1, "fresh": 1, "tasty": 1, "bad": 0, "stale": 0, "bitter": 0}
NEGATIONS = ("", "not", "never")
NOW = ("now", "today")
THEN = ("before", "yesterday")

# Phrases dealt from each group: (to train, to test).
SINGLE_PER_GROUP = (5, 2)   # 12 groups: taste word x negated or not
DOUBLE_PER_GROUP = (8, 2)   # 4 groups: label x which half comes first

SEED = 2


def fits(negation, time):
    """Whether the negation goes with the time word (or with none)."""
    return negation != "never" or time in ("", "before")


def phrase(*words):
    """Join the words that are not empty."""
    return " ".join(word for word in words if word)


def value(negation, taste):
    """1 if the half-phrase praises, 0 if not."""
    return TASTES[taste] ^ (negation != "")


def singles():
    """Yield (group, label, phrase) for every single phrase."""
    for verb, times in (("is", NOW), ("was", THEN)):
        for food, negation, very, taste, time in itertools.product(
                FOODS, NEGATIONS, ("", "very"), TASTES, ("",) + times):
            if not fits(negation, time):
                continue
            yield ((taste, negation != ""), value(negation, taste),
                   phrase(food, verb, negation, very, taste, time))


def doubles():
    """Yield (group, label, phrase) for every double phrase."""
    for food, old_taste, then, negation, taste, now in itertools.product(
            FOODS, TASTES, THEN, ("", "not"), TASTES, NOW):
        label = value(negation, taste)
        if value("", old_taste) == label:
            continue
        past = phrase("was", old_taste, then)
        present = phrase("is", negation, taste, now)
        yield (label, "past first"), label, phrase(food, past, "but", present)
        yield (label, "now first"), label, phrase(food, present, "but", past)


class Lcg:
    """A linear congruential generator: the same numbers everywhere."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005
                      + 1442695040888963407) % 2 ** 64
        return (self.state >> 33) % n


def shuffle(items, rng):
    """Shuffle a list in place (Fisher-Yates)."""
    for i in range(len(items) - 1, 0, -1):
        j = rng.below(i + 1)
        items[i], items[j] = items[j], items[i]


def deal(rows, per_group, rng, train, test):
    """Deal the fixed numbers from each group of rows to train and test."""
    groups = {}
    for group, label, text in rows:
        groups.setdefault(group, []).append((label, text))
    for members in groups.values():
        shuffle(members, rng)
        train.extend(members[:per_group[0]])
        test.extend(members[per_group[0]:sum(per_group)])


def write(name, rows):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for label, text in rows:
            out.write(f"{label}\t{text}\n")
    ones = sum(label for label, _ in rows)
    print(f"{name}: {len(rows)} phrases, {len(rows) - ones} of label 0, "
          f"{ones} of label 1")


def main():
    rng = Lcg(SEED)
    train, test = [], []
    deal(singles(), SINGLE_PER_GROUP, rng, train, test)
    deal(doubles(), DOUBLE_PER_GROUP, rng, train, test)
    shuffle(train, rng)
    shuffle(test, rng)

    if {text for _, text in train} & {text for _, text in test}:
        sys.exit("make.py: a test phrase is in train")
    known = {word for _, text in train for word in text.split()}
    unknown = {word for _, text in test for word in text.split()} - known
    if unknown:
        sys.exit("make.py: test words not in train: "
                 + ", ".join(sorted(unknown)))

    write("train.tsv", train)
    write("test.tsv", test)
    print(f"vocabulary: {len(known)} words")


if __name__ == "__main__":
    main()
