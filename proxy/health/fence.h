/*
 * Until when a limiter call to a backend may still run there, as a moment of the backend's own clock. A script that
 * finds this moment gone writes nothing, so a backend that stood still, or was cut off, does nothing late once it has
 * been left. One per backend, inside it. Main's thread writes, workers read; nobody locks. Proven below.
 *
 * What is promised: when a backend is left because it is silent or unreachable, no call that a worker sent to it before
 * runs there after. "Left" is the moment at which the monitor (main's thread) moves it from UP or SUSPECT to DOWN.
 *
 *   1. Time. Ours is the monotonic clock, m; the backend's at that moment is c(m). A check asks for c at m1 and has the
 *      answer C at m2, so C was read between, and as c never runs backwards c(m2) >= C. The offset kept is C - m2: the
 *      lower end of [C - m2, C - m1]. Until m the two may drift apart by a thousandth of m - m2 (the kernel slews by
 *      at most half of that), so c(m) >= m + (C - m2) - (m - m2) / 1000.
 *   2. So a script that runs with c <= L + (C - m2) - (L - m2) / 1000 runs before L. That is the deadline, and L must
 * be a moment before which the backend is not left.
 *   3. L. Leaving takes `fall` failed checks in a row. A question on a connection that stands fails of silence
 * `timeout` after it was asked, not sooner (probe.c looks at the clock again when its timer comes). A check that must
 *      connect may fail at once: a route can be gone. Checks of a SUSPECT backend begin `fast_interval` apart or more,
 *      and the next one never before the last has failed. So with n failures still missing:
 *         no check under way     n = fall: the next begins after now       L = now + (fall - 1) * fast_interval
 *         check began at b                                                 L = b + (n - 1) * fast_interval
 *         question asked at q    n > 1: the next begins after q + timeout  L = q + timeout + (n - 2) * fast_interval
 *                                n = 1                                     L = q + timeout
 *         failed at f            the next begins after f                   L = f + (n - 1) * fast_interval
 *      Each is written before what it bounds begins (a check's before the clock is read for its beginning), and a
 * worker reads it after its own `now`: whichever it finds, the bound holds for that now. A value that is read late is
 * one that was true earlier, and too early a deadline harms nobody.
 *   4. fall = 1 has no failure to spare: with no check under way `timeout` is taken. That is true of silence and of a
 *      network that drops, not of one that is unreachable for a check that must connect.
 *
 * What leaves sooner, and why a call sent before is not late then:
 *
 *   - refused, lost: nothing listens any more, or it resets, so its host answers. Its sockets died with the process, or
 *     the process runs and has what it was sent at once, or never. (A process that is both stopped and refuses is two
 *     faults; the deadline still ends it.)
 *   - tls, protocol: somebody else answers at that address; as above.
 *   - error words (login, role, loading, data set, cluster, capacity, quota, busy): it runs and talks.
 *   - failback, pin, reload: it lives. Its connections are kept until the replies are in, and if it dies meanwhile its
 *     own bound holds, for checks go on. One that a reload removed is not checked and not left; but a reload that
 *     lessens fall, timeout or fast_interval applies at once, also to calls under way.
 *   - a clock that an operator sets back is noticed at the next check, not before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct health_rules;

struct fence {
    _Atomic int64_t clock_us;    /* the backend's clock less ours, at least; FENCE_NO_CLOCK */
    _Atomic int64_t learned_us;  /* when, on ours; written after clock_us */
    _Atomic int64_t until_us;    /* not left before, on ours; FENCE_IDLE, FENCE_LEFT */
    _Atomic int64_t patience_us; /* while FENCE_IDLE: not left before so long from now */
    int64_t timeout_us, fast_us; /* these and below: main's thread only */
    unsigned fall, missing;      /* failures that it takes in all, and from the check under way on */
};

/* Not known yet, and not to be sent to. */
void fence_init(struct fence *fence);
void fence_set_rules(struct fence *fence, const struct health_rules *rules, uint32_t timeout_ms);

/* The backend's clock, as an answer said that came at `received_us`; or no answer said it. */
void fence_learn(struct fence *fence, int64_t clock_us, int64_t received_us);
void fence_forget(struct fence *fence);

/* `fails`: checks that have failed in a row. */
void fence_check_begins(struct fence *fence, unsigned fails, int64_t now_us);
void fence_asked(struct fence *fence, int64_t now_us); /* on a connection that stands */
void fence_check_failed(struct fence *fence, unsigned fails, int64_t now_us);
void fence_idle(struct fence *fence); /* it is usable, nothing has failed and no check is under way */
void fence_left(struct fence *fence); /* it is not usable; before anybody is told */

/* Whether the clock is known, and since how long. */
bool fence_knows(const struct fence *fence);
int64_t fence_age_us(const struct fence *fence, int64_t now_us);
/* The backend's clock less CLOCK_REALTIME, at least, for people; only while it is known. */
int64_t fence_ahead_us(const struct fence *fence);

/*
 * The deadline of a call that is sent at `now_ms` (the turn's time: any thread) and is of no use after `most_ms` more;
 * 0: no such limit. LIMIT_NEVER_US when the backend does not tell its clock; 0, which is gone, when it was left.
 */
int64_t fence_deadline_us(const struct fence *fence, uint64_t now_ms, uint64_t most_ms);
