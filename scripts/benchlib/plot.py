# SPDX-License-Identifier: GPL-2.0-only
"""Plots, by gnuplot: bars for each kind of work, with the spread of wall time as a whisker."""

import subprocess

from benchlib import figures as numbers
from benchlib import table

# Ours stand out; the others are greys and browns.
_OURS = ("#0b6e4f", "#3fa34d", "#8fd694", "#c3e8bd")
_OTHERS = ("#5b5f66", "#8d99ae", "#b08968", "#ddb892", "#9c89b8", "#b8bedd", "#6d597a", "#adb5bd")

_HEAD = """\
set terminal pngcairo noenhanced size 1180,{height} font "DejaVu Sans,11" background "#ffffff"
set output "{output}"
set style data histograms
set style histogram errorbars gap 1.2 lw 0.8
set style fill solid 0.95 border rgb "#555555"
set bars 0.4
set boxwidth 0.95
set grid ytics lc rgb "#dddddd" lt 1
set border 3 lc rgb "#666666"
set tics nomirror
set xtics rotate by {rotate} {align}
set yrange [0:{top:.3g}]
set ylabel "{ylabel}"
set key outside below left Left reverse maxrows 4 samplen 1.5
"""


def _color(peers):
    """A colour for each peer."""
    ours, others = iter(_OURS), iter(_OTHERS)
    return {peer: next(ours if numbers.ours(peer) else others, "#333333") for peer in peers}


def _bar(figures, work, peer, reference):
    """What a bar shows: (value, low, high); None: nothing."""
    if reference is None:
        value = figures.value(work, peer)
        return None if value is None else (value, value, value)
    ratio = figures.ratio(work, peer, reference)
    return None if ratio is None else (ratio.median, ratio.min, ratio.max)


def _top(bars):
    """Where the plot ends: one whisker of a bad round is cut before it makes all bars small."""
    most = max((value for value, _, _ in bars), default=0) or 1
    return min(1.05 * max(max((high for _, _, high in bars), default=0), most), 1.5 * most)


def shown(figures):
    """The peers that have bars.  What a host does itself leaves no room for guests."""
    return [peer for peer in figures.peers()
            if figures.spec.kind != "wall" or peer not in table.REFERENCES["bare"]]


def script(figures, output):
    """The gnuplot program of a table's plot."""
    spec, peers, works = figures.spec, shown(figures), figures.works()
    reference = None if spec.kind == "exact" else spec.references[0]
    if reference is None:
        label = f"times a {figures.unit[works[0]].partition('/')[2]}"
    else:
        less = {figures.less(work) for work in works}
        better = "less is better" if less == {True} else "more is better"
        label = f"ratio to {table.reference(reference)}\\n({better})"
    crowded = len(works) > 8
    bars = {(work, peer): _bar(figures, work, peer, reference)
            for work in works for peer in peers}
    lines = [_HEAD.format(height=430 + 22 * ((len(peers) + 2) // 3), output=output, ylabel=label,
                          rotate=30 if crowded else 0, align="right" if crowded else "",
                          top=_top([bar for bar in bars.values() if bar]))]
    if reference is not None:
        lines.append('set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 1.5 '
                     'lc rgb "#aa3333" front\n')
    lines.append("$data << END\n")
    for work in works:
        cells = [f'"{work}"']
        for peer in peers:
            bar = bars[work, peer]
            cells += [f"{number:.5g}" for number in bar] if bar else ["NaN"] * 3
        lines.append(" ".join(cells) + "\n")
    lines.append("END\n")
    colors = _color(peers)
    drawn = [f'$data using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}'
             f'{":xtic(1)" if i == 0 else ""} title "{table.peer(peer)}" '
             f'lc rgb "{colors[peer]}"' for i, peer in enumerate(peers)]
    lines.append("plot " + ", \\\n     ".join(drawn) + "\n")
    return "".join(lines)


def draw(figures, directory):
    """Draw a table's plot; its path, or None where there is no gnuplot or nothing to draw."""
    if not figures.works():
        return None
    path = directory / f"{figures.spec.prefix.strip('.')}.png"
    try:
        subprocess.run(("gnuplot", "-"), input=script(figures, path), text=True, check=True)
    except FileNotFoundError:
        return None
    return path
