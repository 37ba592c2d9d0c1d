#include "limiter/repair_learn.h"

#include <string.h>

#define HOLD_LEAST_US INT64_C(1000000)
#define HOLD_MOST_US INT64_C(5000000)
#define PROBE_EACH_US INT64_C(60000000)
#define PROBE_LASTS_US INT64_C(1000000)

enum {
    HOLD_PAUSES = 8,
    ENOUGH = 20,       /* samples before anything is concluded */
    MORE = 3 * ENOUGH, /* where there is nothing to compare with */
    IN_TIME = 10000,   /* acts that found their reservation, before a shorter hold is tried */
    REMEMBERED = 400,  /* samples of one count; then half of them are forgotten */
    GAPS_KEPT = 1000,  /* and of pauses */
    NEARLY_NONE = 10,  /* fewer than one in ten act */
    STEP = 4,          /* and the share is this much smaller than the one at some lower count */
    GAP_FIRST_LOG = 10 /* buckets begin at 2^10 us */
};

void repair_learn_init(struct repair_learn *learn, int64_t rule_max)
{
    *learn = (struct repair_learn){.rule_max = rule_max};
}

int64_t repair_learn_max(struct repair_learn *learn, int64_t now_us)
{
    if (!learn->stops_at || learn->stops_at >= learn->rule_max)
        return learn->rule_max;
    if (learn->probe_us + PROBE_LASTS_US <= now_us)
        learn->probe_us = now_us + PROBE_EACH_US;
    return now_us < learn->probe_us ? learn->stops_at : learn->rule_max;
}

int64_t repair_learn_refused(const struct repair_learn *learn)
{
    return learn->goes_on ? REPAIR_REFUSED_SURELY : learn->rule_max;
}

/* Four buckets to each doubling. */
static unsigned bucket_of(int64_t gap_us)
{
    if (gap_us < INT64_C(1) << GAP_FIRST_LOG)
        return 0;
    unsigned log = 63 - (unsigned)__builtin_clzll((uint64_t)gap_us);
    unsigned bucket = 1 + 4 * (log - GAP_FIRST_LOG) + (unsigned)(gap_us >> (log - 2) & 3);

    return bucket < REPAIR_GAP_BUCKETS ? bucket : REPAIR_GAP_BUCKETS - 1;
}

/* The longest gap that falls there. */
static int64_t bucket_end_us(unsigned bucket)
{
    if (bucket == 0)
        return INT64_C(1) << GAP_FIRST_LOG;
    unsigned log = GAP_FIRST_LOG + (bucket - 1) / 4;

    return (INT64_C(1) << log) / 4 * (5 + (int64_t)(bucket - 1) % 4);
}

int64_t repair_learn_pause_us(const struct repair_learn *learn)
{
    uint32_t above = learn->gaps / 100, seen = 0;
    unsigned bucket = REPAIR_GAP_BUCKETS;

    if (learn->gaps < ENOUGH)
        return 0;
    while (bucket > 0 && seen <= above)
        seen += learn->gap[--bucket];
    return bucket_end_us(bucket);
}

int64_t repair_learn_hold_us(const struct repair_learn *learn)
{
    int64_t hold_us = HOLD_PAUSES * repair_learn_pause_us(learn);

    if (hold_us < learn->floor_us)
        hold_us = learn->floor_us;
    return hold_us < HOLD_LEAST_US ? HOLD_LEAST_US : hold_us > HOLD_MOST_US ? HOLD_MOST_US : hold_us;
}

void repair_learn_gap(struct repair_learn *learn, int64_t gap_us)
{
    learn->gap[bucket_of(gap_us)]++;
    if (++learn->gaps < GAPS_KEPT)
        return;
    learn->gaps = 0;
    for (unsigned i = 0; i < REPAIR_GAP_BUCKETS; i++)
        learn->gaps += learn->gap[i] /= 2;
}

void repair_learn_found(struct repair_learn *learn, bool found)
{
    if (!found) {
        int64_t doubled_us = 2 * repair_learn_hold_us(learn);

        learn->floor_us = doubled_us < HOLD_MOST_US ? doubled_us : HOLD_MOST_US;
        learn->in_time = 0;
    } else if (++learn->in_time >= IN_TIME) {
        learn->floor_us /= 2;
        learn->in_time = 0;
    }
}

/*
 * Whether clients that are told this count stop, while they go on at a lower one. Where none is known to go on, as all
 * places were kept by checks since before we came, it is found from above: the count right below what is refused.
 */
static bool is_a_stop(const struct repair_learn *learn, int64_t told)
{
    uint32_t asked = learn->asked[told], acted = learn->acted[told];
    bool known = false, step = false;

    if (asked < ENOUGH || acted * NEARLY_NONE >= asked)
        return false;
    for (int64_t i = 0; i < told; i++) {
        bool go_on = learn->asked[i] >= ENOUGH && learn->acted[i] > 0;

        known = known || go_on;
        step = step || (go_on && acted * STEP * learn->asked[i] <= learn->acted[i] * asked);
    }
    int64_t refused = learn->stops_at ? learn->stops_at : learn->rule_max;

    return known ? step : told + 1 == refused && asked >= MORE && acted * MORE <= asked;
}

/* The guess was too low: it and what led to it are forgotten. */
static void forget(struct repair_learn *learn)
{
    size_t from = (size_t)learn->stops_at, n = REPAIR_COUNTS - from;

    memset(&learn->asked[from], 0, n * sizeof learn->asked[0]);
    memset(&learn->acted[from], 0, n * sizeof learn->acted[0]);
    learn->stops_at = 0;
}

void repair_learn_count(struct repair_learn *learn, int64_t told, bool acted)
{
    if (told < 0 || told >= REPAIR_COUNTS)
        return;
    if (acted && learn->stops_at && told >= learn->stops_at)
        forget(learn);
    learn->asked[told]++;
    learn->acted[told] += acted;
    if (learn->asked[told] >= REMEMBERED) {
        learn->asked[told] /= 2;
        learn->acted[told] /= 2;
    }
    bool lower = !learn->stops_at || told < learn->stops_at;

    if (lower && is_a_stop(learn, told))
        learn->stops_at = told;
}
