"""CPU seconds and memory of a process and all it started, from /proc, sampled while it runs."""

from __future__ import annotations

import bisect
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from health_pipeline.observability.resident_memory import cpu_and_memory, process_tree

INTERVAL_SECONDS = 0.1


@dataclass
class Samples:
    """What was seen: moments (seconds since 1970), CPU seconds used so far, resident bytes, in order of time."""

    at: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)

    def cpu_between(self, start: float, end: float) -> float:
        """CPU seconds used between two moments."""
        return self._cpu_at(end) - self._cpu_at(start)

    def peak_between(self, start: float, end: float) -> int:
        """The most resident bytes seen between two moments; of a stretch between two samples, the nearer one's."""
        first = bisect.bisect_left(self.at, start)
        last = bisect.bisect_right(self.at, end)
        seen = self.resident_bytes[first:last] or self.resident_bytes[max(first - 1, 0) : first + 1]
        return max(seen, default=0)

    def _cpu_at(self, moment: float) -> float:
        place = bisect.bisect_left(self.at, moment)
        if place == 0:
            return 0.0
        if place == len(self.at):
            return self.cpu_seconds[-1]
        before, after = self.at[place - 1], self.at[place]
        share = (moment - before) / (after - before) if after > before else 0.0
        return self.cpu_seconds[place - 1] + share * (self.cpu_seconds[place] - self.cpu_seconds[place - 1])


@dataclass(frozen=True)
class ProcessRun:
    """A process that ended: its exit code, output, first and last moment, and what was sampled."""

    returncode: int
    output: str
    started_at: float
    ended_at: float
    samples: Samples


def run_sampled(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> ProcessRun:
    """Run a command to its end and sample its whole process tree.

    Parameters
    ----------
    command : the command and its arguments
    environment : all of its environment variables
    folder : its working directory

    Raises
    ------
    OSError
        If the command can't be started, or this system has no /proc.
    """
    samples = Samples()
    started = time.time()
    process = subprocess.Popen(
        command, env=dict(environment), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, samples, ended), daemon=True)
    sampler.start()
    output, _ = process.communicate()
    ended.set()
    sampler.join()
    return ProcessRun(process.returncode, output, started, time.time(), samples)


def _sample(root: int, samples: Samples, ended: threading.Event) -> None:
    highest = 0.0
    while not ended.is_set():
        cpu, resident = 0.0, 0
        for process in process_tree(root):
            own_cpu, own_resident = cpu_and_memory(process)
            cpu += own_cpu
            resident += own_resident
        # A child's seconds reach its parent when it is waited for: between the two they are nowhere.
        highest = max(highest, cpu)
        samples.at.append(time.time())
        samples.cpu_seconds.append(highest)
        samples.resident_bytes.append(resident)
        ended.wait(INTERVAL_SECONDS)
