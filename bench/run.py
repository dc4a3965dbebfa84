"""`make bench`: Lead Apron beside its peers and beside C, on one machine, in one run.

Everything runs in a network namespace without a link outside; servers have one core, the program that is measured the
other, but for the SYN sweeps (`sweeps.py`) and whole audits (`verdicts.py`, `memory.py`). Contests are repeated in rounds,
the programs take turns within each, and each figure is the median of its rounds. Before a rate counts, what the program
found is compared with what the servers are.

    python bench/run.py [--rounds 5] [--small] [--sweeps | --verdicts | --memory] [--write FILE ...]

`--write` puts the table between the lines `<!-- bench -->` and `<!-- /bench -->` of each file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from contests import (
    ALL_OPEN,
    ATTRIBUTES,
    C_SPARING,
    DCMDUMP,
    FINDSCU,
    HTTP_CLIENT,
    LEAD_APRON,
    NMAP,
    PYDICOM,
    PYNETDICOM,
    RANGES,
    UIDS,
    UNARMED,
    C,
    contests,
)
from memory import FULL_SPACES, HOME, SMALL_HOME, SMALL_SPACES, measure_memory, memory_goals, memory_table, spaces
from place import FIND_MILLION, FULL, ORTHANC, SMALL, SMB, Place, Sample, place_of
from sweeps import FULL_BITS, SMALL_BITS, measure_sweeps, sweep_goals, sweep_place, sweep_table
from verdicts import (
    FULL_NETWORK,
    FULL_SERVERS,
    SMALL_NETWORK,
    SMALL_SERVERS,
    measure_verdicts,
    verdicts_goals,
    verdicts_table,
)

Rates = dict[str, dict[str, float]]
"""Contest, program: median of things done a second."""
Part = tuple[list[str], list[str]]
"""Lines of figures, and of goals."""


def measure(place: Place, rounds: int) -> Rates:
    """One round more than asked: the first warms up and is thrown away."""
    rates: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds + 1):
        for contest in contests(place):
            programs = list(contest.programs.items())
            turn = number % len(programs)
            for program, run in programs[turn:] + programs[:turn]:
                sample = run()
                if number:
                    rates[contest.name][program].append(sample["done"] / sample["seconds"])
                    say(f"{number}/{rounds}  {contest.name}: {program} {rates[contest.name][program][-1]:,.0f}/s")
    return {name: {program: statistics.median(all_) for program, all_ in of.items()} for name, of in rates.items()}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def echoes(place: Place, rounds: int) -> dict[str, float]:
    """Milliseconds: medians over rounds of the medians of each."""
    samples = [place.python("leadapron_echo", ORTHANC) for _ in range(rounds)]
    return {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}


def trees(place: Place) -> dict[str, Sample]:
    """The same tree over each door: every file of it listed, and headers read as far as a walk's most bytes reach."""
    found: dict[str, Sample] = {}
    for door, port in (("http", place.web), ("smb", SMB)):
        found[door] = place.python("leadapron_tree", door, port)
        assert found[door]["done"] == place.size.files, (door, found[door])
    return found


def table(
    parts: list[Part], rates: Rates, echo: Sample, many: Sample, walked: dict[str, Sample], place: Place, rounds: int
) -> str:
    """The figures as Markdown."""
    names = list(rates)
    handshakes, finds = names[:4], names[4:6]
    lines = [f"{machine()}; medians of {rounds} rounds, one core each.", ""]
    lines += [line for figures, _ in parts for line in (*figures, "")]
    lines += _rows("handshakes a second", rates, handshakes, [LEAD_APRON, UNARMED, C, C_SPARING, NMAP, PYNETDICOM])
    lines += ["", *_rows("C-FIND answers a second", rates, finds, [LEAD_APRON, C, FINDSCU, PYNETDICOM])]
    lines += ["", *_rows("file headers a second", rates, [UIDS, ATTRIBUTES], [LEAD_APRON, C, DCMDUMP, PYDICOM])]
    lines += ["", *_rows("range requests a second", rates, [RANGES], [LEAD_APRON, HTTP_CLIENT])]
    size = place.size
    lines += [
        "",
        (
            f"- {size.sockets:,} sockets at once, 1 % of {size.handshakes:,} targets answer, the rest is silent: each server"
            " that answers was found in every round; a miss would have ended the run."
        ),
        f"- C-ECHO to Orthanc: {echo['echo_ms']:.2f} ms; association, C-ECHO and release: {echo['association_ms']:.2f} ms.",
        (
            f"- {many['done']:,.0f} studies counted in one query; the whole process never took more than"
            f" {many['peak_mib']:.0f} MiB."
        ),
        *(
            f"- {of['done']:,.0f} files listed and {of['read']:,.0f} headers read over {door.upper()}, of {server}:"
            f" {of['seconds']:.1f} s;"
            f" the whole process never took more than {of['peak_mib']:.0f} MiB."
            for (door, of), server in zip(walked.items(), ("nginx", "Samba"), strict=True)
        ),
    ]
    return "\n".join(lines)


def _rows(title: str, rates: Rates, names: list[str], programs: list[str]) -> list[str]:
    lines = ["| " + " | ".join([title, *programs]) + " |", "|---" + "|---:" * len(programs) + "|"]
    for name in names:
        ours = rates[name][LEAD_APRON]
        cells = [_cell(rates[name].get(program), ours, program) for program in programs]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return lines


def _cell(rate: float | None, ours: float, program: str) -> str:
    """A rate, and how Lead Apron's compares with it."""
    if rate is None:
        return "-"
    ratio = ours / rate
    compared = "" if program in (LEAD_APRON, UNARMED) else f" ({ratio:.2f})" if ratio < 3 else f" ({ratio:,.0f} x)"
    return f"{rate:,.0f}{compared}"


FILE_GOALS = {
    UIDS: ((C, 0.6), (PYDICOM, 50)),
    ATTRIBUTES: ((PYDICOM, 20),),
    RANGES: ((HTTP_CLIENT, 4),),
}


def goals(rates: Rates, echo: dict[str, float], many: dict[str, float]) -> list[str]:
    """What was aimed at, and what came of it."""
    lines = []
    for name, of in rates.items():
        peers = ((C, 0.8), (NMAP, 8), (FINDSCU, 3), (PYNETDICOM, 100 if NMAP in of else 80))
        for program, goal in FILE_GOALS.get(name, peers):
            if program not in of or (program == C and FINDSCU in of) or (program == NMAP and name != ALL_OPEN):
                continue
            ratio = of[LEAD_APRON] / of[program]
            lines.append(_goal(f"{name}: {ratio:.2f} times {program}", ratio >= goal, f"{goal}"))
        if FINDSCU in of:
            lines.append(_goal(f"{name}: {of[LEAD_APRON]:,.0f} a second", of[LEAD_APRON] >= 200_000, "200,000"))
    lines.append(_goal(f"C-ECHO: {echo['echo_ms']:.2f} ms", echo["echo_ms"] <= 1, "1"))
    lines.append(_goal(f"{many['done']:,.0f} studies: {many['peak_mib']:.0f} MiB", many["peak_mib"] < 200, "200"))
    return lines


def _goal(text: str, is_met: bool, goal: str) -> str:
    return f"{'met   ' if is_met else 'MISSED'}  {text} (goal {goal})"


def machine() -> str:
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else platform.machine()
    return (
        f"{dt.datetime.now(dt.UTC).date()}, {os.cpu_count()} cores of {name}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def write(path: Path, text: str) -> None:
    """Replace what stands between the marks."""
    before, mark, rest = path.read_text().partition("<!-- bench -->\n")
    _, end, after = rest.partition("<!-- /bench -->\n")
    if not (mark and end):
        raise SystemExit(
            f"{path} has no place for figures: put <!-- bench --> and <!-- /bench --> on lines of their own"
        )
    path.write_text(f"{before}{mark}\n{text}\n\n{end}{after}")


def _reached(goals: list[tuple[str, bool, float]]) -> list[str]:
    return [_goal(text, is_met, f"{goal:g}") for text, is_met, goal in goals]


def sweeps(given: argparse.Namespace) -> Part:
    with sweep_place(SMALL_BITS if given.small else FULL_BITS) as cable:
        swept = measure_sweeps(cable, given.rounds, say)
    return sweep_table(swept), _reached(sweep_goals(swept))


def verdicts(given: argparse.Namespace) -> Part:
    network, servers = (SMALL_NETWORK, SMALL_SERVERS) if given.small else (FULL_NETWORK, FULL_SERVERS)
    judged = measure_verdicts(network, servers, given.rounds, say)
    return verdicts_table(judged), _reached(verdicts_goals(judged))


def memory(given: argparse.Namespace) -> Part:
    countries = spaces(SMALL_HOME, SMALL_SPACES) if given.small else spaces(HOME, FULL_SPACES)
    sized = measure_memory(countries, say)
    return memory_table(sized), _reached(memory_goals(sized))


PARTS = {"sweeps": sweeps, "verdicts": verdicts, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description="Lead Apron beside its peers and beside C.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="little of everything: a check of the bench, no figures")
    one = parser.add_mutually_exclusive_group()
    for name, what in (
        ("sweeps", "SYN sweeps"),
        ("verdicts", "whole audits"),
        ("memory", "spaces of 1 to 100 million"),
    ):
        one.add_argument(f"--{name}", action="store_true", help=f"the {what} alone; writes nothing")
    parser.add_argument("--write", type=Path, nargs="*", default=[], metavar="FILE")
    given = parser.parse_args()
    alone = [part for name, part in PARTS.items() if getattr(given, name)]
    parts = [part(given) for part in alone or PARTS.values()]
    reached = [line for _, lines in parts for line in lines]
    if alone:
        print("\n".join([f"{machine()}; medians of {given.rounds} rounds.", "", *parts[0][0], "", *reached]))
        return
    with place_of(SMALL if given.small else FULL) as place:
        rates = measure(place, given.rounds)
        echo = echoes(place, given.rounds)
        many = place.python("leadapron_find", FIND_MILLION)
        text = table(parts, rates, echo, many, trees(place), place, given.rounds)
    print(text)
    if not given.small:
        print("\n".join(["", *reached, *goals(rates, echo, many)]))
    for path in given.write:
        write(path, text)


if __name__ == "__main__":
    main()
