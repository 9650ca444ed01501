#!/usr/bin/env python3
"""Times commands in turn, A B C A B C ..., and compares them pair by pair.

    in_turn.py RUNS RATIOS NAME COMMAND [NAME COMMAND ...]
    in_turn.py 30 "ours/theirs" ours "minroot --version" theirs "libtree --version"

A machine that other people use too is faster at one time than at another. Commands that run one after the other meet
the same machine, so each round gives one ratio that is worth something, and the median of these is less noisy than the
ratio of two medians. Prints, for each command, wall and processor time (user and system, of all its threads), and for
each ratio `A/B` of RATIOS its median over the rounds; everything with the least and the most.

A command is split into words as a shell does it, and runs without one: what it prints goes nowhere, its standard input
is the file behind a word `<`, else nothing. Three rounds come before those that count. The last line says how much of
the machine's processors other programs took meanwhile.
"""

import os
import shlex
import sys
import time
from statistics import median

WARMUP = 3


def parse(command):
    words = shlex.split(command)
    stdin = os.devnull
    if "<" in words:
        at = words.index("<")
        stdin = words[at + 1]
        del words[at:at + 2]
    return words, stdin


def run(words, stdin):
    """Wall and processor time in milliseconds, and the exit code: of a command that fails, only its times are compared."""
    files = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    start = time.perf_counter()
    try:
        pid = os.posix_spawnp(words[0], words, os.environ, file_actions=files)
    except OSError as error:
        sys.exit(f"in_turn.py: cannot start `{words[0]}`: {error.strerror}; install it, or leave its command out")
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        sys.exit(f"in_turn.py: {words[0]} was killed by signal {-code}")
    return 1000 * wall, 1000 * (usage.ru_utime + usage.ru_stime), code


def machine_time():
    """Milliseconds that all processors have worked, for anybody: proc_stat(5), without idle and iowait."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, stat.readline().split()[1:])
    return 1000 * (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def spread(values, digits):
    return f"{median(values):9.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main(runs, ratios, *named):
    commands = {name: parse(command) for name, command in zip(named[::2], named[1::2], strict=True)}
    pairs = [ratio.split("/") for ratio in ratios.split()]
    results = {name: [] for name in commands}
    start, busy = time.perf_counter(), machine_time()
    for _ in range(WARMUP + int(runs)):
        for name, command in commands.items():
            results[name].append(run(*command))
    for name, result in results.items():
        walls, processor, codes = zip(*result[WARMUP:])
        failed = "" if set(codes) == {0} else f"   exit code {', '.join(map(str, sorted(set(codes))))}"
        print(f"{name:22s} wall {spread(walls, 1)} ms   processor {spread(processor, 1)} ms{failed}")
    available = 1000 * (time.perf_counter() - start) * os.cpu_count()
    ours = sum(processor for result in results.values() for _, processor, _ in result)
    others = max(0, machine_time() - busy - ours) / available
    for a, b in pairs:
        of_rounds = [x[0] / y[0] for x, y in zip(results[a][WARMUP:], results[b][WARMUP:])]
        print(f"{a} / {b} = {spread(of_rounds, 2).strip()}")
    print(f"other programs took {100 * others:.0f} % of the machine's processors meanwhile")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
