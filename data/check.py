#!/usr/bin/env python3
"""Check the sample data sets: form, labels, sizes, duplicates, near-copies.

Usage: python3 check.py [DIR]     (DIR: the data folder, by default this one)

Prints one line per file, and one line per violation to standard error as
`PATH:LINE: what is wrong` (or `PATH: ...` for a whole file).  Exits with 0 if
all is well, 1 if not.  Standard library only.
"""

import os
import re
import sys
import unicodedata
from collections import Counter

LIMIT = 0.75  # a test text this close to a train text counts as a near-copy


def plain(text):
    """The text in lower case, without punctuation, single-spaced."""
    return " ".join(re.sub(r"[^\w\s]", "", text.lower()).split())


def words(text):
    return set(plain(text).split())


def bigrams(text):
    """The set of pairs of neighbouring characters, spaces included."""
    text = plain(text)
    return {text[i:i + 2] for i in range(len(text) - 1)}


# name: labels, least rows (train, test), least rows per label (train, test),
# and the set that the near-copy rule compares.  Phrases of a tiny grammar are
# all alike, so there only exact copies are ruled out, and words of the test
# file that the train file lacks.
SETS = {
    "emoji": (("heart", "ball", "smile", "sad", "food"),
              (530, 130), (100, 25), words),
    "korean": (("pos", "neg"), (264, 66), (130, 32), bigrams),
    "phrases": (("0", "1"), (90, 30), (45, 15), None),
}

problems = 0


def bad(where, what):
    global problems
    problems += 1
    print(f"{where}: {what}", file=sys.stderr)


def read(path, labels):
    """Return [(line number, label, text)] of the well-formed lines."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        bad(path, error.strerror)
        return []
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        bad(path, f"not UTF-8 at byte {error.start}")
        return []
    if content.startswith("\ufeff"):
        bad(path, "starts with a byte order mark")
    if "\r" in content:
        bad(path, "has carriage returns")
    if not content.endswith("\n"):
        bad(path, "does not end with a newline")

    rows = []
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        if line.strip() == "":
            bad(where, "blank line")
            continue
        if not unicodedata.is_normalized("NFC", line):
            bad(where, "not NFC")
        columns = line.split("\t")
        if len(columns) != 2:
            bad(where, f"{len(columns)} columns, expected 2")
            continue
        label, text = columns
        if label not in labels:
            bad(where, f"unknown label '{label}'")
        if plain(text) == "":
            bad(where, "no text")
            continue
        if text != " ".join(text.split()):
            bad(where, "stray white space")
        rows.append((number, label, text))
    return rows


def check_sizes(path, rows, labels, least, least_per_label):
    counts = Counter(label for _, label, _ in rows)
    print(f"{path}: {len(rows)} rows: "
          + ", ".join(f"{label} {counts[label]}" for label in labels))
    if len(rows) < least:
        bad(path, f"{len(rows)} rows, expected at least {least}")
    for label in labels:
        if counts[label] < least_per_label:
            bad(path, f"{counts[label]} rows of label '{label}', "
                      f"expected at least {least_per_label}")


def check_duplicates(files):
    """No text twice, within a file or across both, punctuation aside."""
    seen = {}
    for path, rows in files:
        for number, _, text in rows:
            where = f"{path}:{number}"
            key = plain(text)
            if key in seen:
                bad(where, f"same text as {seen[key]}: {text}")
            else:
                seen[key] = where


def check_near_copies(train_path, train, test_path, test, features):
    """No test text too close to a train text (Jaccard index of the sets)."""
    train_sets = [(number, plain(text), features(text))
                  for number, _, text in train]
    for number, _, text in test:
        mine = features(text)
        for other, key, theirs in train_sets:
            if key == plain(text):
                continue  # reported as a duplicate
            index = len(mine & theirs) / max(1, len(mine | theirs))
            if index >= LIMIT:
                bad(f"{test_path}:{number}",
                    f"near-copy ({index:.2f}) of {train_path}:{other}: {text}")


def check_known_words(test_path, train, test):
    known = {word for _, _, text in train for word in text.split()}
    for number, _, text in test:
        for word in text.split():
            if word not in known:
                bad(f"{test_path}:{number}", f"word '{word}' is not in train")


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__.strip())
    root = (sys.argv[1] if len(sys.argv) == 2
            else os.path.dirname(os.path.abspath(__file__)))
    for name, (labels, least, per_label, features) in SETS.items():
        paths = [os.path.join(root, name, part + ".tsv")
                 for part in ("train", "test")]
        parts = [read(path, labels) for path in paths]
        for i in range(2):
            check_sizes(paths[i], parts[i], labels, least[i], per_label[i])
        check_duplicates(list(zip(paths, parts)))
        if features:
            check_near_copies(paths[0], parts[0], paths[1], parts[1], features)
        else:
            check_known_words(paths[1], parts[0], parts[1])
    if problems:
        print(f"check.py: {problems} violation(s)", file=sys.stderr)
        return 1
    print("all sets are in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
