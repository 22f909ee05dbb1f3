#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests what the benchmarks make of raw figures: nothing is measured.

Prints KTAP.  bench_raw.csv was recorded, and cut down; other rows are made up here.
"""

import contextlib
import html
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
_HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parents[1] / "scripts"))

from benchlib import figures, plot, report, table  # noqa: E402
from benchlib.raw import Raw, Row, parse  # noqa: E402

_BENCH = _HERE.parents[1] / "scripts/bench"
_RECORDED = _HERE / "bench_raw.csv"


def _raw(directory, rows):
    """A file of raw figures of these rows: (run, boot, name, peer, round, value, unit)."""
    raw = Raw(pathlib.Path(directory) / "raw.csv")
    for row in rows:
        raw.add(Row(*map(str, row)))
    return raw


def _table(raw, prefix):
    return next(found for found in figures.all_figures(raw) if found.spec.prefix == prefix)


def _bench(directory, *args):
    done = subprocess.run((str(_BENCH), "--out", str(directory), *args), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def lines_are_told_from_others(_):
    good = parse("bench: net.cost.tx64x1 shunt-split 1 4409 instructions\n", "cost.net", "b")
    assert good == Row("cost.net", "b", "net.cost.tx64x1", "shunt-split", "1", "4409",
                       "instructions"), good
    part = parse("bench: net.cost.tx64x1/task:shunt-net-9/1 stock 1 12.5 %", "r", "b")
    assert part.name == "net.cost.tx64x1/task:shunt-net-9/1" and part.value == "12.5", part
    why = parse("bench: net.cost.all dpdk - no program: <none> of it", "r", "b")
    assert why.round == "-" and why.unit == "no program: <none> of it", why
    for line in ("", "lab: bench: x y 1 2 z", "bench: building", "bench: a b 1 two z",
                 "bench: a b c 2 z", "bench: a b 1 2"):
        assert parse(line, "r", "b") is None, line


def only_the_newest_whole_boot_counts(directory):
    rows = [("cost.net", "1", "net.cost.tx64x1", "stock", 1, 100, "instructions"),
            ("cost.net", "1", "net.cost.tx64x1", "shunt-split", 1, 80, "instructions"),
            ("cost.net", "1", "done", "-", "-", "", "quick"),
            ("cost.net", "2", "net.cost.tx64x1", "stock", 1, 200, "instructions"),
            ("cost.net", "2", "net.cost.tx64x1", "shunt-split", 1, 100, "instructions"),
            ("cost.net", "2", "done", "-", "-", "", "full"),
            # Interrupted.
            ("cost.net", "3", "net.cost.tx64x1", "stock", 1, 1, "instructions"),
            ("cost.disk", "4", "disk.cost.read4kx1", "bare-aio", 1, 1, "instructions")]
    raw = _raw(directory, rows)
    with open(pathlib.Path(directory) / "raw.csv", "a", encoding="utf-8") as file:
        file.write("cost.disk,4,disk.cost.re")
    # What comes next is a line of its own.
    Raw(pathlib.Path(directory) / "raw.csv").add(Row(*rows[-1]))
    rows.append(rows[-1])
    raw = Raw(pathlib.Path(directory) / "raw.csv")
    assert len(raw.rows) == len(rows), raw.rows[-1]
    assert raw.done("cost.net") == "2" and raw.done("cost.net", "quick") == "1"
    assert raw.done("cost.disk") is None and not raw.of("cost.disk")
    found = _table(raw, "net.cost.")
    assert found.value("tx64x1", "stock") == 200
    assert found.ratio("tx64x1", "shunt-split", "stock").median == 0.5


def of_several_references_the_best_counts(directory):
    rows = [("cost.disk", "1", "disk.cost.read4kx1", peer, 1, value, "instructions")
            for peer, value in (("qemu-uring", 300), ("qsd-native", 200), ("bare-aio", 90),
                                ("bare-uring", 100), ("shunt-split", 100))]
    rows += [("cost.disk", "1", "disk.cost.file.read4kx1", "qsd-native", 1, 1, "instructions"),
             ("cost.disk", "1", "done", "-", "-", "", "quick")]
    found = _table(_raw(directory, rows), "disk.cost.")
    assert found.works() == ["read4kx1"], found.works()
    assert found.reference("read4kx1", "QEMU") == "qsd-native"
    assert found.ratio("read4kx1", "shunt-split", "QEMU").median == 0.5
    assert round(found.ratio("read4kx1", "shunt-split", "bare").median, 3) == 1.111
    goals = {(name, who): ratio for name, who, _, ratio in figures.targets([found])}
    assert goals["disk.cost.read4kx1", "QEMU"] == 0.5, goals


def wall_time_is_compared_within_a_round(directory):
    # The machine was three times as fast in the second round: medians over all would say 1.
    rows = []
    for number, (theirs, mine) in enumerate(((10, 20), (30, 33), (20, 30)), 1):
        rows += [("wall.net", "1", "net.wall.tcp", "qemu", number, theirs, "MiB/s"),
                 ("wall.net", "1", "net.wall.tcp", "shunt-split", number, mine, "MiB/s")]
    rows += [("wall.net", "1", "net.wall.tcp", "shunt-split", 4, 1000, "MiB/s"),
             ("wall.net", "1", "done", "-", "-", "", "quick")]
    found = _table(_raw(directory, rows), "net.wall.")
    assert found.ratio("tcp", "shunt-split", "qemu") == (1.1, 1.5, 2), \
        found.ratio("tcp", "shunt-split", "qemu")
    assert not found.less("tcp")


def worse_ratios_are_told(_):
    stored = {"a": {"x to y": 0.5}, "b": {"x to y": 1.0, "z to y": 1.0}}
    good = {"a": {"x to y": 0.509}, "b": {"x to y": 0.1, "z to y": 1.0}, "c": {"x to y": 9}}
    assert figures.check(stored, good) == ([], 3)
    complaints, compared = figures.check(stored, {"a": {"x to y": 0.511}})
    assert len(complaints) == 1 and compared == 1 and "0.511" in complaints[0], complaints
    complaints, compared = figures.check(stored, {"b": {"x to y": 1.0}})
    assert len(complaints) == 1 and compared == 1 and "z to y" in complaints[0], complaints
    assert figures.check(stored, {"a": {"x to y": 0.53}}, 0.1) == ([], 1)
    # Of what is next to nothing a few instructions are many percent.
    stored = {"a": {"x to y": 0.013}}
    assert figures.check(stored, {"a": {"x to y": 0.015}}) == ([], 1)
    assert len(figures.check(stored, {"a": {"x to y": 0.019}})[0]) == 1


def check_of_what_was_recorded(directory):
    shutil.copy(_RECORDED, pathlib.Path(directory) / "raw.csv")
    stored = pathlib.Path(directory) / "stored.json"
    status, said = _bench(directory, "--store", str(stored))
    assert status == 0, said
    status, said = _bench(directory, "--check", str(stored))
    assert status == 0 and " 0 worse" in said, said
    content = json.loads(stored.read_text())
    name = next(iter(content["ratios"]))
    key = next(iter(content["ratios"][name]))
    content["ratios"][name][key] *= 0.97
    stored.write_text(json.dumps(content))
    status, said = _bench(directory, "--check", str(stored))
    assert status == 1 and f"worse: {name}: {key}" in said, said
    # Nothing to compare with is no success.
    stored.write_text('{"ratios": {}}')
    assert _bench(directory, "--check", str(stored))[0] == 1
    assert _bench(directory, "--check", str(stored) + ".none")[0] not in (0, 1)


def report_of_what_was_recorded(directory):
    shutil.copy(_RECORDED, pathlib.Path(directory) / "raw.csv")
    status, said = _bench(directory, "--report")
    assert status == 0, said
    text = (pathlib.Path(directory) / "report.html").read_text(encoding="utf-8")
    for found in figures.all_figures(Raw(_RECORDED)):
        assert f"<h2>{html.escape(found.spec.title)}</h2>" in text, found.spec.title
        for peer in found.peers():
            assert html.escape(table.peer(peer)) in text, peer
        if any(kind == "part" for parts in found.parts.values() for kind, _ in parts):
            assert found.spec.parts in text, found.spec.title
    for outside in ('src="http', "<script", '<link', 'src="plots'):
        assert outside not in text, outside
    content = json.loads((pathlib.Path(directory) / "report.json").read_text())
    assert content["results"] and content["cost ratios"] and "kernel" in content["about"], content
    assert len((pathlib.Path(directory) / "results.csv").read_text().splitlines()) == \
        len(content["results"]) + 1


def reasons_are_text(directory):
    rows = [("wall.dpdk", "1", "net.dpdk.all", "dpdk", "-", "", "<b>no</b> & never"),
            ("wall.dpdk", "1", "done", "-", "-", "", "quick")]
    text = report.page(figures.all_figures(_raw(directory, rows)), {}, {})
    assert "&lt;b&gt;no&lt;/b&gt; &amp; never" in text and "<b>no" not in text


def plots_have_a_bar_for_each(_):
    for found in figures.all_figures(Raw(_RECORDED)):
        program = plot.script(found, "/tmp/none.png")
        data = program.split("$data << END\n")[1].split("END\n")[0].splitlines()
        assert len(data) == len(found.works())
        for row in data:
            assert len(row.split()) == 1 + 3 * len(plot.shown(found)), row
        assert program.count(" title ") == len(plot.shown(found))


def runs_are_resumed(directory):
    raw = _raw(directory, [(run.name, "1", "done", "-", "-", "", "quick") for run in table.RUNS])
    assert all(raw.done(run.name) for run in table.RUNS)
    # All is there: nothing is built or measured, and nothing boots.
    status, said = _bench(directory, "--quick")
    assert status == 0 and said.count("is there already") == \
        sum(run.seconds[0] is not None for run in table.RUNS) and "building" not in said, said
    status, said = _bench(directory, "--only", "wall.net")
    assert status == 0 and said.count("is there already") == 1, said
    status, said = _bench(directory, "--only", "wall.ne")
    assert status == 125 and "no run is called" in said, said


CASES = (lines_are_told_from_others, only_the_newest_whole_boot_counts,
         of_several_references_the_best_counts, wall_time_is_compared_within_a_round,
         worse_ratios_are_told, check_of_what_was_recorded, report_of_what_was_recorded,
         reasons_are_text, plots_have_a_bar_for_each, runs_are_resumed)


def main():
    failed = 0
    print("TAP version 13")
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        said = io.StringIO()
        try:
            with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(said):
                case(directory)
            print(f"ok {number} {case.__name__}")
        except (AssertionError, OSError, ValueError, KeyError, StopIteration) as err:
            failed += 1
            print(f"# {type(err).__name__}: {err}"[:600])
            print(f"not ok {number} {case.__name__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
