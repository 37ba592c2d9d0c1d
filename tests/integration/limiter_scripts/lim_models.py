"""The algorithms of LIM.* as plain and slow Python: what each admits, and the arguments of its script."""

NS = 10**9


class Model:
    """One key under one limit. `step` is one call at `now` (us): (allowed, remaining, charged, reason)."""

    script = ""
    modes = ("take", "take", "take", "peek", "refund")

    def __init__(self, limit):
        self.limit = limit
        self.admitted = []  # (us, cost), refunds not taken off

    def step(self, now, mode, cost):
        """What the script has to answer, and the state after it."""
        if mode == "refund":
            back = min(cost, self.used(now))
            self.give_back(now, cost)
            return 1, self.remaining(now), -back, 0
        if mode == "partial":
            cost = min(cost, self.limit, max(1, self.remaining(now)))
        reason = 3 if cost > self.limit else 0 if cost <= self.remaining(now) else 1
        charged = 0
        if mode != "peek" and (reason == 0 or (mode == "countdenied" and reason == 1)):
            self.add(now, cost)
            charged = cost
        if charged and reason == 0:
            self.admitted.append((now, cost))
        return int(reason == 0), self.remaining(now), charged, reason

    def remaining(self, now):
        """What is left."""
        return max(0, self.limit - self.used(now))


class Gcra(Model):
    """A bucket that is `ahead` ns from full."""

    script = "lim_gcra"
    modes = (*Model.modes, "partial")

    def __init__(self, limit, count, period_ms, delay=0):
        super().__init__(limit)
        self.e, self.delay, self.tat = period_ms * 1000000 // count, delay, 0

    def arguments(self, mode, cost, keep_ms=60000):
        return mode, self.limit, self.e, 1, cost, self.delay, keep_ms

    def used(self, now):
        return -(-max(0, self.tat - now * 1000) // self.e)

    def add(self, now, cost):
        self.tat = max(self.tat, now * 1000) + cost * self.e

    def give_back(self, now, cost):
        self.tat = max(self.tat - cost * self.e, now * 1000)

    def bound_holds(self):
        """Admitted cost in any duration d <= limit + floor(d / e)."""
        def admitted(first, end):
            return sum(cost for at, cost in self.admitted[first:] if at <= end)
        return all(admitted(i, end) <= self.limit + (end - start) * 1000 // self.e
                   for i, (start, _) in enumerate(self.admitted) for end, _ in self.admitted[i:])


class Window(Model):
    """A counter and its end."""

    script = "lim_window"
    modes = (*Model.modes, "partial", "countdenied")

    def __init__(self, limit, window_ms, align):
        super().__init__(limit)
        self.window, self.align, self.count, self.end = window_ms * 1000, align, 0, 0
        self.by_window = {}

    def arguments(self, mode, cost, keep_ms=60000):
        return mode, self.limit, self.window, self.align, cost, keep_ms

    def used(self, now):
        return self.count if now < self.end else 0

    def add(self, now, cost):
        if now >= self.end:
            self.count = 0
            self.end = now + self.window - (now % self.window if self.align == "epoch" else 0)
        self.count += cost

    def give_back(self, now, cost):
        self.count = max(0, self.used(now) - cost)

    def bound_holds(self):
        """At most limit in each window."""
        if self.align == "epoch":
            starts = {at - at % self.window for at, _ in self.admitted}
        else:
            starts, end = [], 0
            for at, _ in self.admitted:
                if at >= end:
                    starts.append(at)
                    end = at + self.window
        return all(sum(cost for at, cost in self.admitted if start <= at < start + self.window) <= self.limit
                   for start in starts)


class Slide(Model):
    """Two counters; times in whole ms, as the script's."""

    script = "lim_slide"

    def __init__(self, limit, window_ms):
        super().__init__(limit)
        self.window, self.cost_in = window_ms, {}

    def arguments(self, mode, cost, keep_ms=60000):
        return mode, self.limit, self.window, cost, keep_ms

    def used(self, now):
        index, e = divmod(now // 1000, self.window)
        before = self.cost_in.get(index - 1, 0)
        return before * (self.window - e) // self.window + self.cost_in.get(index, 0)

    def add(self, now, cost):
        index = now // 1000 // self.window
        self.cost_in[index] = self.cost_in.get(index, 0) + cost

    def step(self, now, mode, cost):
        if mode != "refund":
            return super().step(now, mode, cost)
        index, back = now // 1000 // self.window, 0
        for i in (index, index - 1):
            taken = min(cost - back, self.cost_in.get(i, 0))
            self.cost_in[i] = self.cost_in.get(i, 0) - taken
            back += taken
        return 1, self.remaining(now), -back, 0

    def bound_holds(self):
        """At most 2 * limit in any window."""
        return in_any(self.admitted, self.window * 1000) <= 2 * self.limit


class Log(Model):
    """All costs that are still in the window."""

    script = "lim_slide_log"

    def __init__(self, limit, window_ms):
        super().__init__(limit)
        self.window, self.entries = window_ms * 1000, []

    def arguments(self, mode, cost, keep_ms=60000):
        return mode, self.limit, self.window, cost, keep_ms

    def used(self, now):
        self.entries = [(at, cost) for at, cost in self.entries if at > now - self.window]
        return sum(cost for _, cost in self.entries)

    def add(self, now, cost):
        self.entries.append((now, cost))

    def give_back(self, now, cost):
        while cost and self.entries:
            at, newest = self.entries.pop()
            if newest > cost:
                self.entries.append((at, newest - cost))
            cost -= min(cost, newest)

    def bound_holds(self):
        """At most limit in any window."""
        return in_any(self.admitted, self.window) <= self.limit


def in_any(admitted, window):
    """The most that was admitted in any (t - window, t]."""
    return max((sum(cost for at, cost in admitted if end - window < at <= end) for end, _ in admitted), default=0)
