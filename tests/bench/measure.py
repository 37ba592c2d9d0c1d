"""Rounds: what each contestant costs per request, with all of them measured within the same seconds.

The speed of a shared machine drifts by a fifth within seconds, for everybody alike. So a round starts every contestant
afresh and then gives each a slice of a fifth of a second in turn, there and back (A B C, C B A, ...), until each had
its second: a drift meets all of them, and the ratios of a round hold where its absolute figures do not. A slice in
which others used too much of the core is repeated; a round of which that is true after all still counts, and is told.
"""

import contextlib
import dataclasses
import statistics

from stage import Stage

SLICE_S = 0.2
STRANGERS_MAX = 0.15
TRIES = 8


@dataclasses.dataclass(frozen=True)
class Cost:
    """One contestant in one round. Microseconds of CPU per request; latencies are medians over the slices."""
    requests: int
    seconds: float
    client_us: float
    proxy_us: float
    redis_us: float
    p50_us: float
    p99_us: float
    strangers: float  # share of the core that others used

    @property
    def rate(self):
        """Requests per second of a core that does nothing else."""
        return 1e6 / (self.client_us + self.proxy_us + self.redis_us)

    @property
    def rate_seen(self):
        """Requests per second of the wall clock."""
        return self.requests / self.seconds


def cost_of(windows):
    def total(field):
        return sum(getattr(window, field) for window in windows)

    requests, seconds = total("requests"), total("seconds")
    client_s, proxy_s, redis_s = total("client_s"), total("proxy_s"), total("redis_s")
    strangers_s = total("busy_s") - client_s - proxy_s - redis_s
    return Cost(requests, seconds, client_s / requests * 1e6, proxy_s / requests * 1e6, redis_s / requests * 1e6,
                statistics.median(window.p50_us for window in windows),
                statistics.median(window.p99_us for window in windows), max(0.0, strangers_s) / seconds)


def strangers_in(costs):
    return max(cost.strangers for cost in costs.values())


@dataclasses.dataclass
class Noise:
    repeated: int = 0  # slices played again
    accepted: int = 0  # rounds that count though the core was not quiet


def quiet_slice(stand, noise):
    """When no try is quiet, the quietest counts."""
    tries = [stand.run()]
    while cost_of(tries[-1:]).strangers > STRANGERS_MAX and len(tries) < TRIES:
        tries.append(stand.run())
        noise.repeated += 1
    return min(tries, key=lambda window: cost_of([window]).strangers)


def play_round(names, scenario, cpu, seconds, noise):
    windows = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        stages = {name: stack.enter_context(Stage(name, scenario, cpu, load=["--seconds", str(SLICE_S)]))
                  for name in names}
        order = list(names)
        for _ in range(max(1, round(seconds / SLICE_S))):
            for name in order:
                windows[name].append(quiet_slice(stages[name], noise))
            order.reverse()
    costs = {name: cost_of(windows[name]) for name in names}
    noise.accepted += strangers_in(costs) > STRANGERS_MAX
    return costs


def play(names, scenario, cpu, rounds, seconds):
    """Returns (one {contestant: Cost} per round, Noise). Who starts rotates from round to round."""
    noise, results = Noise(), []
    for number in range(rounds):
        shift = number % len(names)
        costs = play_round(names[shift:] + names[:shift], scenario, cpu, seconds, noise)
        results.append({name: costs[name] for name in names})
    return results, noise
