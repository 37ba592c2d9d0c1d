#include "proxy/health/fence.h"

#include <stdatomic.h>
#include <time.h>

#include "limiter/limit_call.h"
#include "proxy/health/state.h"

enum { DRIFT_PART = 1000 }; /* clocks drift apart by less than one part of so many */

#define FENCE_NO_CLOCK INT64_MIN
#define FENCE_IDLE INT64_C(0)
#define FENCE_LEFT INT64_C(-1)

void fence_init(struct fence *fence)
{
    *fence = (struct fence){.fall = 1, .missing = 1};
    atomic_init(&fence->clock_us, FENCE_NO_CLOCK);
    atomic_init(&fence->until_us, FENCE_LEFT);
}

/* What `missing` failures take at least when each check may fail at once. */
static int64_t spaced_us(const struct fence *fence, unsigned missing)
{
    return missing > 1 ? (int64_t)(missing - 1) * fence->fast_us : 0;
}

void fence_set_rules(struct fence *fence, const struct health_rules *rules, uint32_t timeout_ms)
{
    fence->fall = rules->fall;
    fence->fast_us = (int64_t)rules->fast_interval_ms * 1000;
    fence->timeout_us = (int64_t)timeout_ms * 1000;
    atomic_store(&fence->patience_us, fence->fall > 1 ? spaced_us(fence, fence->fall) : fence->timeout_us);
}

void fence_learn(struct fence *fence, int64_t clock_us, int64_t received_us)
{
    atomic_store(&fence->clock_us, clock_us - received_us);
    atomic_store(&fence->learned_us, received_us);
}

void fence_forget(struct fence *fence)
{
    atomic_store(&fence->clock_us, FENCE_NO_CLOCK);
}

static bool is_left(const struct fence *fence)
{
    return atomic_load(&fence->until_us) == FENCE_LEFT;
}

static unsigned missing_after(const struct fence *fence, unsigned fails)
{
    return fence->fall > fails ? fence->fall - fails : 1;
}

void fence_check_begins(struct fence *fence, unsigned fails, int64_t now_us)
{
    fence->missing = missing_after(fence, fails);
    if (!is_left(fence))
        atomic_store(&fence->until_us, now_us + spaced_us(fence, fence->missing));
}

/* What was promised when the check began holds as well. */
void fence_asked(struct fence *fence, int64_t now_us)
{
    int64_t until_us = now_us + fence->timeout_us + spaced_us(fence, fence->missing - 1);

    if (!is_left(fence) && until_us > atomic_load(&fence->until_us))
        atomic_store(&fence->until_us, until_us);
}

void fence_check_failed(struct fence *fence, unsigned fails, int64_t now_us)
{
    atomic_store(&fence->until_us, now_us + spaced_us(fence, missing_after(fence, fails)));
}

void fence_idle(struct fence *fence)
{
    atomic_store(&fence->until_us, FENCE_IDLE);
}

void fence_left(struct fence *fence)
{
    atomic_store(&fence->until_us, FENCE_LEFT);
}

bool fence_knows(const struct fence *fence)
{
    return !is_left(fence) && atomic_load(&fence->clock_us) != FENCE_NO_CLOCK;
}

int64_t fence_age_us(const struct fence *fence, int64_t now_us)
{
    return now_us - atomic_load(&fence->learned_us);
}

static int64_t read_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t fence_ahead_us(const struct fence *fence)
{
    return atomic_load(&fence->clock_us) + read_us(CLOCK_MONOTONIC) - read_us(CLOCK_REALTIME);
}

static int64_t drift_us(int64_t us)
{
    return us > 0 ? us / DRIFT_PART + 1 : 0;
}

int64_t fence_deadline_us(const struct fence *fence, uint64_t now_ms, uint64_t most_ms)
{
    int64_t until_us = atomic_load(&fence->until_us), now_us = (int64_t)now_ms * 1000, learned_us, clock_us;
    int64_t deadline_us;

    if (until_us == FENCE_LEFT)
        return 0;
    learned_us = atomic_load(&fence->learned_us);
    clock_us = atomic_load(&fence->clock_us);
    if (clock_us == FENCE_NO_CLOCK)
        return LIMIT_NEVER_US;
    if (until_us == FENCE_IDLE)
        until_us = now_us + atomic_load(&fence->patience_us);
    if (most_ms && until_us - now_us > (int64_t)most_ms * 1000)
        until_us = now_us + (int64_t)most_ms * 1000;
    deadline_us = until_us + clock_us - drift_us(until_us - learned_us);
    if (deadline_us < 0)
        return 0;
    return deadline_us < LIMIT_NEVER_US ? deadline_us : LIMIT_NEVER_US;
}
