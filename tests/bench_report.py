"""report.py of the GPU benchmark on lines that were made up: what it tells of them, and that it lets nothing pass which is
no number, was refused or does not hold together. Usage: bench_report.py REPORT"""
import copy
import json
import subprocess
import sys

DEVICE = {"device": "a GPU", "multiprocessors": 132, "megahertz": 1980, "cudnn": "9.9.9", "lstm": "auto", "rounds": 3,
          "milliseconds": 2}
FINE = {"y": 1e-7, "dx": 1e-7, "dW": 1e-7, "dR": 1e-7, "db": 1e-7}


def side(name, mode, whole, ratio):
    parts = {"forward": whole / 4, "backward": whole * 3 / 4, "whole": whole}
    if name.startswith("cuDNN"):
        parts |= {"backward_data": whole / 2, "backward_weights": whole / 4}
    ratios = {part: [ratio, ratio * 0.9, ratio * 1.1] for part in ("forward", "backward", "whole")} if ratio else {}
    return {"side": name, "mode": mode, "us": {part: [us, us * 0.9, us * 1.1] for part, us in parts.items()},
            "us_per_time_step": whole / 128, "share": {"forward": 0.5, "backward": 0.4, "whole": 0.45}, "ratio": ratios}


CASE = {"case": "lstm H=64 B=128 T=128 layers=1 directions=1 full float32", "live": 1, "floor_us": {},
        "reference": "cpu-double", "tolerance": 1e-4,
        "errors": {"Carousel": FINE, "cuDNN standard, packed": FINE, "cuDNN persist static, packed": FINE},
        "refused": {}, "left_out": {"cuDNN persist dynamic, packed": "not supported"},
        "sides": [side("Carousel", "graph", 100, None), side("cuDNN standard, packed", "graph", 500, 5),
                  side("cuDNN persist static, packed", "graph", 325, 3.25), side("Carousel", "plain", 120, None)]}


def told(*lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([sys.executable, sys.argv[1]], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def expect(what, condition, *shown):
    if not condition:
        sys.exit(f"bench_report.py: {what}: {shown}")


def changed(*path, value):
    case = copy.deepcopy(CASE)
    place = case
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return case


def main():
    status, table, _ = told(DEVICE, CASE, {"not_done": ["gru H=64"], "why": "time was up"})
    expect("a run that is right is not taken", status == 0, status, table)
    row = next(line for line in table.splitlines() if line.startswith(f"| {CASE['case']} | 100.0 |"))
    expect("the fastest way is not told", "| persist static, packed |" in row and "3.25 (2.9" in row, row)
    expect("the goal is not told", row.endswith("| 3 |"), row)
    for words in ("0.50, 0.40, 0.45", "gru H=64", "persist dynamic, packed, in 1 of 1 cases: not supported"):
        expect(f"'{words}' is not told", words in table, table)

    refused = changed("refused", value={"cuDNN standard, packed": "dR differs"})
    refused["sides"] = [one for one in refused["sides"] if one["side"] != "cuDNN standard, packed"]
    status, table, _ = told(DEVICE, refused)
    expect("a refusal is not told", status == 1 and "refused: " + CASE["case"] in table, status, table)

    nan = float("nan")
    wrong = [changed("errors", "Carousel", "dR", value=nan), changed("errors", "Carousel", "dR", value=1e-3),
             changed("sides", 0, "us", "whole", value=[nan, nan, nan]), changed("sides", 0, "share", "whole", value=nan),
             changed("sides", 1, "ratio", "whole", value=[5, 6, 7]), changed("sides", 1, "us", value={}),
             changed("refused", value={"Carousel": "but it is timed"}), {"case": "no more than a title"}]
    for case in wrong:
        status, table, why = told(DEVICE, case)
        expect("a line that is wrong passes", status == 2 and why.startswith("report.py: "), case, status, why)
    expect("no case at all passes", told(DEVICE)[0] == 1)
    expect("no device at all passes", told(CASE)[0] == 2)


main()
