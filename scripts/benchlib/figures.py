# SPDX-License-Identifier: GPL-2.0-only
"""From raw figures to ratios: within a boot, and of wall time within a round."""

import collections
import json
import statistics

from benchlib import table

TOLERANCE = 0.02        # of --check
LEAST = 0.005           # of the peer's cost; to be worse by less than that is to be as good

# min, median and max of something over the rounds of one boot.
Spread = collections.namedtuple("Spread", "min median max")


def spread(values):
    """The Spread of some numbers."""
    return Spread(min(values), statistics.median(values), max(values))


class Figures:
    """What was measured, of one table: figures by kind of work and peer."""

    def __init__(self, spec, rows):
        self.spec = spec
        self.unit = {}
        self.rounds = collections.defaultdict(dict)     # (work, peer): {round: value}
        self.parts = collections.defaultdict(dict)      # (work, peer): {(kind, what): value}
        self.failed = []                                # (work, peer, reason)
        others = [other.prefix for other in table.TABLES
                  if other is not spec and other.prefix.startswith(spec.prefix)]
        for row in rows:
            if not row.name.startswith(spec.prefix) or row.name.startswith(tuple(others)):
                continue
            work, _, part = row.name[len(spec.prefix):].partition("/")
            if row.round == "-":
                self.failed.append((work, row.peer, row.unit))
            elif part:
                kind, _, what = part.partition(":")
                self.parts[work, row.peer][kind, what] = float(row.value)
            else:
                self.unit[work] = row.unit
                self.rounds[work, row.peer][row.round] = float(row.value)

    def works(self):
        """Kinds of work, in the order in which they were measured."""
        return list(dict.fromkeys(work for work, _ in self.rounds))

    def peers(self):
        """Who took part, in the order of table.PEERS."""
        found = dict.fromkeys(peer for _, peer in self.rounds)
        order = list(table.PEERS)
        return sorted(found, key=lambda peer: order.index(peer) if peer in order else 99)

    def value(self, work, peer):
        """The median over the rounds; None: not measured."""
        rounds = self.rounds.get((work, peer))
        return statistics.median(rounds.values()) if rounds else None

    def less(self, work):
        """Whether less is better."""
        return self.unit[work].partition("/")[0] in table.LESS

    def reference(self, work, name):
        """Which peer a reference is, in this kind of work: the best one; None: there is none."""
        found = [(self.value(work, peer), peer) for peer in table.REFERENCES[name]
                 if (work, peer) in self.rounds]
        if not found:
            return None
        return (min if self.less(work) else max)(found)[1]

    def ratio(self, work, peer, name):
        """Spread of the ratios to a reference, each within a round; None: no round has both."""
        other = self.reference(work, name)
        if other is None or (work, peer) not in self.rounds:
            return None
        mine, theirs = self.rounds[work, peer], self.rounds[work, other]
        ratios = [mine[number] / theirs[number] for number in mine
                  if theirs.get(number)]
        return spread(ratios) if ratios else None


def all_figures(raw):
    """Figures of each table that has any."""
    found = []
    rows = [row for run in table.RUNS for row in raw.of(run.name)]
    for spec in table.TABLES:
        figures = Figures(spec, rows)
        if figures.rounds or figures.failed:
            found.append(figures)
    return found


def ours(peer):
    """Whether a peer is this project's."""
    return peer.startswith("shunt")


def cost_ratios(everything):
    """All ratios of the cost kind, of ours to others: {name: {"peer to reference": ratio}}."""
    found = {}
    for figures in everything:
        if figures.spec.kind != "cost":
            continue
        for work in figures.works():
            for peer in filter(ours, figures.peers()):
                for name in figures.spec.references:
                    ratio = figures.ratio(work, peer, name)
                    if ratio and name not in table.NOT_CHECKED:
                        key = figures.spec.prefix + work
                        found.setdefault(key, {})[f"{peer} to {name}"] = round(ratio.median, 4)
    return found


def targets(everything):
    """What was to be reached: (name, reference, wanted, reached by the cheapest of ours)."""
    found = []
    for figures in everything:
        for name, wanted in figures.spec.targets.items():
            for work, most in wanted:
                ratios = [figures.ratio(work, peer, name) for peer in figures.peers()
                          if ours(peer)]
                ratios = [ratio.median for ratio in ratios if ratio]
                if ratios:
                    found.append((figures.spec.prefix + work, name, most, min(ratios)))
    return found


def check(stored, now, tolerance=TOLERANCE):
    """
    Complaints about ratios that got worse than stored ones by more than the tolerance, and by more
    than LEAST; and how many were compared. Of what was measured now, all that is stored must be
    there.
    """
    complaints, compared = [], 0
    for name, ratios in stored.items():
        if name not in now:
            continue
        for key, old in ratios.items():
            new = now[name].get(key)
            if new is None:
                complaints.append(f"{name}: {key} was {old:.3f} and was not measured")
                continue
            compared += 1
            if new > old + max(old * tolerance, LEAST):
                complaints.append(f"{name}: {key} was {old:.3f} and is {new:.3f}")
    return complaints, compared


def load_ratios(path):
    """The ratios of a file that store_ratios() wrote."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)["ratios"]


def store_ratios(path, ratios, about):
    """Write ratios, and what they were measured on."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"#": "SPDX-License-Identifier: GPL-2.0-only", "about": about,
                   "ratios": ratios}, file, indent=1, sort_keys=True)
        file.write("\n")
