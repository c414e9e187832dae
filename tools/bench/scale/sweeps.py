"""Time and memory against one size at a time: rows, length, vocabulary, classes. Each size is a text of its own, and
each stage of working with it is a process of its own, so that its peak of memory is its own too."""

import os
import shutil

import texts
from measure import CannotRun, least, run

LINE = "embedding 16 | lstm 16 | dense"
BATCH = 128

# name: sizes, those of --quick, and from a size the generator's options and the settings it is read with
SWEEPS = {
    "rows": ((10_000, 100_000, 1_000_000, 3_600_000), (2_000, 20_000),
             lambda rows: ({"rows": rows}, {})),
    "length": ((32, 128, 512, 2048), (32, 256),
               lambda words: ({"rows": 4096, "length": words}, {"length": words})),
    "vocabulary": ((1_000, 10_000, 100_000, 1_000_000), (1_000, 100_000),
                   lambda words: ({"rows": 200_000, "vocabulary": words, "longest": 64},
                                  {"length": 64, "vocabulary": words, "batch": 1024})),
    "classes": ((2, 100, 1_000, 10_000, 100_000), (2, 2_000),
                lambda classes: ({"rows": 100_000, "classes": classes, "in-turn": 1, "noise": 0, "marks": 0,
                                  "length": 16}, {"length": 16, "batch": 1024})),
}
QUICK_ROWS = 5_000

STAGES = ("reading", "from the cache", "training", "evaluating", "predicting")


class Case:
    """One size of one sweep."""

    def __init__(self, sweep, size, options):
        self.options, self.folder = options, options.folder
        generated, self.settings = SWEEPS[sweep][2](size)
        if options.quick and sweep != "rows":
            generated["rows"] = max(min(generated["rows"], QUICK_ROWS), generated.get("classes", 0))
        self.settings = {"format": "fasttext", "batch": BATCH, "threads": options.threads} | self.settings
        self.text = os.path.join(self.folder, f"{sweep}-{size}-{generated['rows']}.txt")
        self.model = os.path.join(self.folder, "model.safetensors")
        self.cache = os.path.join(self.folder, "cache")
        texts.generate(options.generator, self.text, generated)

    def flags(self, **more):
        return texts.options_of(self.settings | more)

    def read(self, what="read", **more):
        words = [f"{name}={value}" for name, value in (self.settings | more).items()]
        return run([self.options.bench_scale, what, self.text, *words])

    def reading(self):
        return self.read()

    def from_the_cache(self, what="read"):
        one = self.read(what, cache=self.cache)
        if not one["answer"]["cached"]:
            raise CannotRun(f"{self.text} was read, though a cache of it was made")
        return one

    def train(self, line, **more):
        return run([self.options.carousel, "train", self.text, "--output", self.model, "--overwrite", "--json",
                    "--no-curves", "--model", line, "--epochs", "1", "--validation", "0",
                    *self.flags(**more)])

    def train_from_the_cache(self, line):
        one = self.train(line, cache=self.cache)
        if "taken from the cache" not in one["messages"]:
            raise CannotRun(f"{self.text} was read for training, though a cache of it was made")
        return one

    def training(self):
        return self.train_from_the_cache(LINE)

    def evaluating(self):
        return run([self.options.carousel, "eval", self.model, self.text, "--json", "--format", "fasttext",
                    "--threads", str(self.options.threads)])

    def predicting(self):
        return run([self.options.carousel, "predict", self.model, self.text, "--format", "fasttext", "--threads",
                    str(self.options.threads)], answers=False)

    def share_of_batches(self, trainings):
        """Seconds by the clock: an epoch's batches made by themselves, and the epoch with its steps."""
        made = [self.from_the_cache("batches")["answer"]["making"]["clock"] for _ in trainings]
        return {"making": min(made), "epoch": min(one["answer"]["history"][0]["seconds"] for one in trainings)}

    def measure(self):
        shutil.rmtree(self.cache, ignore_errors=True)
        facts = self.read(cache=self.cache)["answer"]
        stages = {}
        for stage in STAGES:
            runs = [getattr(self, stage.replace(" ", "_"))() for _ in range(self.options.rounds)]
            stages[stage] = least(runs)
            if stage == "training":
                batches = self.share_of_batches(runs)
        facts = {name: facts[name] for name in ("rows", "tokens", "distinct", "vocabulary", "classes")}
        facts["megabytes"] = os.path.getsize(self.text) * 1e-6
        shutil.rmtree(self.cache, ignore_errors=True)
        return {"facts": facts, "stages": stages, "batches": batches}


def measure(sweep, options):
    """A size after the other."""
    sizes, quick_sizes, _ = SWEEPS[sweep]
    for size in quick_sizes if options.quick else sizes:
        if size <= options.most:
            yield {"size": size} | Case(sweep, size, options).measure()
