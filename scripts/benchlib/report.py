# SPDX-License-Identifier: GPL-2.0-only
"""The report: report.html, which needs no other file, report.json, results.csv, and the plots."""

import base64
import csv
import html
import json

from benchlib import figures as numbers
from benchlib import plot, table

_STYLE = """
body { font: 15px/1.5 "DejaVu Sans", "Segoe UI", sans-serif; color: #222; background: #fff;
       max-width: 1180px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.7em; margin-bottom: .1em; } h2 { font-size: 1.25em; margin: 2.2em 0 .3em; }
h3 { font-size: 1.05em; margin: 1.4em 0 .2em; }
p { max-width: 60em; } .small { color: #555; font-size: .9em; }
table { border-collapse: collapse; margin: .8em 0; font-size: .9em;
        display: block; max-width: 100%; overflow-x: auto; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #e4e4e4;
         font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 2px solid #999; }
tr.ours td { background: #edf7ee; } td.na { color: #bbb; } .ratio { color: #0b6e4f; }
td.ok { color: #0b6e4f; } td.short { color: #a33; } img { max-width: 100%; }
"""


def _number(value, unit):
    """A figure for people."""
    if unit == "instructions" or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def _cell(figures, work, peer):
    """One cell: the figure, and the ratio to the first reference."""
    value = figures.value(work, peer)
    if value is None:
        return '<td class="na">–</td>'
    text = _number(value, figures.unit[work])
    if figures.spec.kind == "exact":
        return f"<td>{text}</td>"
    ratio = figures.ratio(work, peer, figures.spec.references[0])
    if ratio is None:
        return f"<td>{text}</td>"
    if figures.spec.kind == "cost":
        return f'<td>{text}<br><span class="ratio">{ratio.median:.2f}</span></td>'
    return (f'<td>{text}<br><span class="ratio">{ratio.median:.2f}</span> '
            f'<span class="small">{ratio.min:.2f}–{ratio.max:.2f}</span></td>')


def _table(figures):
    """A table of peers by kinds of work."""
    works = figures.works()
    head = "".join(f"<th>{html.escape(work)}<br><span class=small>"
                   f"{html.escape(figures.unit[work])}</span></th>" for work in works)
    rows = [f"<tr><th></th>{head}</tr>"]
    for peer in figures.peers():
        cells = "".join(_cell(figures, work, peer) for work in works)
        kind = ' class="ours"' if numbers.ours(peer) else ""
        rows.append(f"<tr{kind}><td>{html.escape(table.peer(peer))}</td>{cells}</tr>")
    return "<table>" + "".join(rows) + "</table>"


def _ratio_note(figures):
    """What the ratios in the table mean."""
    if figures.spec.kind == "exact":
        return ""
    name = figures.spec.references[0]
    note = f"In green: the ratio to {html.escape(table.reference(name))}."
    if figures.spec.kind == "wall":
        rounds = {len(found) for found in figures.rounds.values()}
        note += (f" Medians of {max(rounds)} rounds, and the smallest and largest ratio, each "
                 "taken within a round; where the plot ends its whiskers are cut.")
    return f'<p class="small">{note}</p>'


def _parts(figures):
    """Where the cost goes: shares times what it is, for each peer that has been looked into."""
    rows = []
    names = sorted({what for found in figures.parts.values() for kind, what in found
                    if kind == "part"})
    if not names:
        return ""
    rows.append("<tr><th></th>" + "".join(f"<th>{html.escape(n)}</th>" for n in names) + "</tr>")
    for (work, peer), found in figures.parts.items():
        shares = {what: value for (kind, what), value in found.items() if kind == "part"}
        if not shares:
            continue
        total, whole = figures.value(work, peer), sum(shares.values())
        cells = "".join(f"<td>{shares.get(n, 0) / whole * total:,.0f}</td>" if total and whole else
                        f"<td>{shares.get(n, 0):.0f} %</td>" for n in names)
        kind = ' class="ours"' if numbers.ours(peer) else ""
        rows.append(f"<tr{kind}><td>{html.escape(work)}, {html.escape(table.peer(peer))}</td>"
                    f"{cells}</tr>")
    return (f"<h3>Where they go</h3><p class=small>{figures.spec.parts}</p>"
            "<table>" + "".join(rows) + "</table>" + _functions(figures))


def _functions(figures):
    """The functions that have most of it."""
    items = []
    for (work, peer), found in figures.parts.items():
        most = sorted(((value, what) for (kind, what), value in found.items()
                       if kind == "function"), reverse=True)[:6]
        if most:
            text = ", ".join(f"{html.escape(what)} {value:.0f} %" for value, what in most)
            items.append(f"<li>{html.escape(work)}, {html.escape(table.peer(peer))}: {text}</li>")
    return f"<p class=small>Functions with the largest shares:</p><ul class=small>" \
           f"{''.join(items)}</ul>" if items else ""


def _section(figures, image):
    """A table, its plot, and what could not be measured."""
    spec = figures.spec
    out = [f"<h2>{html.escape(spec.title)}</h2><p>{spec.text}</p>"]
    if figures.works():
        if image:
            data = base64.b64encode(image.read_bytes()).decode()
            out.append(f'<img alt="{html.escape(spec.title)}" src="data:image/png;base64,{data}">')
        out += [_table(figures), _ratio_note(figures), _parts(figures)]
    for work, peer, reason in figures.failed:
        out.append(f'<p class="small">Not measured: {html.escape(work)}, '
                   f'{html.escape(table.peer(peer))}: {html.escape(reason)}</p>')
    return "\n".join(out)


def _targets(everything):
    found = numbers.targets(everything)
    if not found:
        return ""
    rows = ["<tr><th>work</th><th>in ratio to</th><th>goal</th><th>reached</th></tr>"]
    for name, reference, most, ratio in found:
        kind = "ok" if ratio <= most else "short"
        rows.append(f"<tr><td>{html.escape(name)}</td>"
                    f"<td>{html.escape(table.reference(reference))}</td>"
                    f'<td>{most:.2f}</td><td class="{kind}">{ratio:.2f}</td></tr>')
    return ("<h2>Goals</h2><p>Host instructions of the cheapest of ours, at most so many times "
            "those of the peer. What falls short, and why, is in Documentation/performance.rst.</p>"
            "<table>" + "".join(rows) + "</table>")


_INTRO = """
<p>Shunt beside what a host's owner would use instead: the same work, in the same boot of the same
kernel. Two ways of measuring. <b>Cost</b> is instructions that the host executes, counted in an
emulated machine whose virtual time is instructions: exact, and the same on any machine to about
one in a thousand. There is no guest, but where it says so: the measuring program has the rings, so
that all that is counted is the host's. <b>Wall time</b> is of real guests, in turns, and says
something only as a ratio within one round. Figures of different boots are never compared.</p>"""

_EMULATED = """<p><b>Limits.</b> The processor was emulated. An instruction costs there what it does
not on real hardware: neither caches nor their misses are seen, an exit of a guest costs less or
more, and copying a byte is as dear as any other instruction. Ratios of wall time are of an
emulator, with other processes on the machine; what they prove is who does more work, not who is
faster. On a host with KVM, <code>scripts/bench --here</code>, as root, measures wall time on the
machine itself (it loads the modules); README.md says how.</p>"""

_REAL = """<p><b>Limits.</b> Wall time is of this machine, as it was then. Cost is of an emulated
one: neither caches nor their misses are seen there.</p>"""


def _about(facts):
    rows = "".join(f"<tr><td>{html.escape(key)}</td><td style='text-align:left'>"
                   f"{html.escape(value)}</td></tr>" for key, value in facts.items())
    return f"<h2>Measured on</h2><table>{rows}</table>"


def facts_of(raw):
    """What the rows `about` say: the machine, the kernel, the commit. A dict of texts."""
    found = {}
    for run in table.RUNS:
        for row in raw.of(run.name):
            if row.name != "about" or row.unit in found.setdefault(row.peer, []):
                continue
            found[row.peer].append(row.unit)
    return {key.replace("-", " "): " / ".join(values) for key, values in found.items()}


def page(everything, facts, images):
    """The text of report.html."""
    wall = any(figures.spec.kind == "wall" for figures in everything)
    limits = _EMULATED if "emulated" in facts.get("accelerator", "emulated") or not wall else _REAL
    sections = "\n".join(_section(figures, images.get(figures.spec.prefix))
                         for figures in everything)
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            f"<title>Shunt: benchmarks</title><style>{_STYLE}</style></head><body>"
            f"<h1>Shunt: what a packet and a request take</h1>{_INTRO}{limits}"
            f"{_targets(everything)}{sections}{_about(facts)}</body></html>\n")


def _results(everything):
    """Rows of results.csv."""
    for figures in everything:
        for work in figures.works():
            for peer in figures.peers():
                value = figures.value(work, peer)
                if value is None:
                    continue
                row = {"name": figures.spec.prefix + work, "peer": peer, "median": value,
                       "unit": figures.unit[work],
                       "rounds": len(figures.rounds[work, peer])}
                for name in figures.spec.references:
                    ratio = figures.ratio(work, peer, name)
                    if ratio:
                        row.update({f"to {name}": round(ratio.median, 4),
                                    f"to {name}, least": round(ratio.min, 4),
                                    f"to {name}, most": round(ratio.max, 4)})
                yield row


def write(raw, directory):
    """Write all of it; returns the path of report.html."""
    everything = numbers.all_figures(raw)
    facts = facts_of(raw)
    plots = directory / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    images = {figures.spec.prefix: plot.draw(figures, plots) for figures in everything}
    rows = list(_results(everything))
    fields = list(dict.fromkeys(key for row in rows for key in row))
    with open(directory / "results.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (directory / "report.json").write_text(json.dumps(
        {"about": facts, "results": rows, "cost ratios": numbers.cost_ratios(everything)},
        indent=1) + "\n")
    path = directory / "report.html"
    path.write_text(page(everything, facts, images), encoding="utf-8")
    return path
