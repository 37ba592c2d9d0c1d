"""CL.THROTTLE as redis-cell computes it, in integers as wide as it takes, with respgate's stated differences."""

NS = 10**9
FLOOR_US = 1000


class Throttle:
    """The parameters of a call, and what the caller of the script derives from them."""

    def __init__(self, burst, count, period, quantity=1):
        self.interval = int(float(period * NS) / float(count))
        assert self.interval > 0
        self.limit = burst + 1
        self.tolerance = self.interval * self.limit
        self.cost = self.interval * quantity

    def arguments(self, exact=False):
        """ARGV 2 to 9 of the script."""
        unit = FLOOR_US if self.interval >= FLOOR_US else 1
        return (self.limit, *divmod(self.tolerance, NS), *divmod(self.cost, NS), self.interval // unit, unit,
                1000000 if exact else 1)

    def call(self, stored, now, exact=False):
        """The reply at `now` (ns) and the TAT stored after it; None is a missing key."""
        base = max(stored or 0, now)
        new = base + self.cost
        early = new - self.tolerance - now
        if early > 0:
            retry = seconds(early, 1000000 if exact else 1) if self.cost <= self.tolerance else -1
            return [1, self.limit, self.remaining(base - now), retry, seconds(base - now)], stored
        new = max(new, now)
        reply = [0, self.limit, self.remaining(new - now), -1, seconds(new - now)]
        if self.cost == 0:
            return reply, stored
        return reply, new if new > now else None

    def remaining(self, ahead):
        """Calls left when the TAT lies `ahead` ns ahead of now."""
        unit = FLOOR_US if self.interval >= FLOOR_US else 1
        room = self.tolerance - ahead
        return 0 if room < 0 else min(room // unit // (self.interval // unit), self.limit)


def seconds(duration, at_least=1000000):
    """Whole seconds, one more for a rest of `at_least` ns."""
    whole, rest = divmod(duration, NS)
    return whole + (rest >= at_least)
