/*
 * How far the clocks of clients are off: times that they write into keys, or purge by, less the time here. What unit
 * they count in is told by the size of the number; a lease or an age shifts all of one rule's alike, so only the
 * differences say something. Pure; any thread.
 */
#pragma once

#include <stdint.h>

#include "limiter/limit_call.h"

struct repair_clocks {
    uint64_t seen;
    int64_t least_us, most_us; /* what they said less what it was here */
};

/* A score as ZADD, or a bound as ZREMRANGEBYSCORE takes it. One that is no time within ten days of now says nothing. */
void repair_clocks_note(struct repair_clocks *clocks, const struct limit_slice *score, int64_t wall_us);

/* By how much they differ, 0 when nothing is known. */
static inline int64_t repair_clocks_spread_us(const struct repair_clocks *clocks)
{
    return clocks->most_us - clocks->least_us;
}
