/*
 * Whether something was so in the last few dozen cases: often, or (nearly) never. A falling sum: each case counts a
 * little less with every one after it. Plain data, embedded by its owner; nothing to free.
 */
#pragma once

#include <stdbool.h>

enum { REPAIR_RECENT_OF = 64 };

struct repair_recent {
    unsigned sum;   /* in units of a REPAIR_RECENT_OFth */
    unsigned cases; /* known so far, at most REPAIR_RECENT_OF */
};

static inline void repair_recent_note(struct repair_recent *recent, bool is_so)
{
    recent->sum -= recent->sum / REPAIR_RECENT_OF;
    recent->sum += is_so ? REPAIR_RECENT_OF : 0;
    recent->cases += recent->cases < REPAIR_RECENT_OF;
}

/* In how many of the last REPAIR_RECENT_OF, about. */
static inline unsigned repair_recent_share(const struct repair_recent *recent)
{
    return recent->sum / REPAIR_RECENT_OF;
}

/* More than one of the last. */
static inline bool repair_recent_is_often(const struct repair_recent *recent)
{
    return recent->sum > REPAIR_RECENT_OF;
}

/* At most one of enough. */
static inline bool repair_recent_is_seldom(const struct repair_recent *recent)
{
    return recent->cases == REPAIR_RECENT_OF && !repair_recent_is_often(recent);
}
