#include "limiter/repair_askers.h"

/* Who asks less often does not keep others out. */
#define TOGETHER_US INT64_C(10000000)

/* Checks in a row without an act, then an asker gets one place at a time. */
enum {
    IDLE_CHECKS = 4,
    IDLE_SURELY = 6, /* then ever more seldom, where another connection is hardly to act for it */
    DOUBLINGS = 4,
};

static struct repair_asker *place_of(struct repair_askers *askers, uint64_t id)
{
    return &askers->places[id % REPAIR_ASKER_PLACES];
}

bool repair_askers_has_enough(const struct repair_askers *askers, uint64_t id, int64_t now_us)
{
    const struct repair_asker *asker = &askers->places[id % REPAIR_ASKER_PLACES];

    return asker->id == id && now_us < asker->until_us;
}

/* How long an asker that has had its place waits for another one, in holds. */
static int64_t wait_of(unsigned idle, enum repair_actors actors)
{
    if (actors == REPAIR_ACTORS_DO_NOT_ASK || idle < IDLE_CHECKS)
        return 0;
    if (actors == REPAIR_ACTORS_UNKNOWN || idle < IDLE_SURELY)
        return 1;
    unsigned doublings = idle - IDLE_SURELY;

    return INT64_C(1) << (doublings < DOUBLINGS ? doublings : DOUBLINGS);
}

void repair_askers_told(struct repair_askers *askers, uint64_t id, int64_t sent_us, int64_t hold_us,
                        enum repair_actors actors)
{
    struct repair_asker *asker = place_of(askers, id);

    if (asker->id != id || sent_us - asker->asked_us >= TOGETHER_US)
        asker->idle = 0;
    asker->id = id;
    asker->idle++;
    asker->asked_us = sent_us;
    asker->until_us = sent_us + hold_us * wait_of(asker->idle, actors);
}

void repair_askers_refused(struct repair_askers *askers, uint64_t id, int64_t sent_us)
{
    struct repair_asker *asker = place_of(askers, id);

    if (asker->id == id)
        asker->asked_us = sent_us;
    else if (sent_us - asker->asked_us >= TOGETHER_US)
        *asker = (struct repair_asker){.id = id, .asked_us = sent_us};
}

bool repair_askers_acted(struct repair_askers *askers, uint64_t id)
{
    struct repair_asker *asker = place_of(askers, id);

    if (asker->id != id)
        return false;
    asker->idle = 0;
    asker->until_us = 0;
    return true;
}
