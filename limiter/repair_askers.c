#include "limiter/repair_askers.h"

/* Who asks less often does not keep others out. */
#define TOGETHER_US INT64_C(10000000)

enum { IDLE_CHECKS = 20 };

bool repair_askers_has_enough(const struct repair_askers *askers, uint64_t id, int64_t now_us)
{
    const struct repair_asker *asker = &askers->places[id % REPAIR_ASKER_PLACES];

    return asker->id == id && asker->idle >= IDLE_CHECKS && now_us < asker->holds_us;
}

void repair_askers_told(struct repair_askers *askers, uint64_t id, int64_t sent_us, int64_t hold_us)
{
    struct repair_asker *asker = &askers->places[id % REPAIR_ASKER_PLACES];

    if (asker->id != id || sent_us - asker->asked_us >= TOGETHER_US)
        asker->idle = 0;
    asker->id = id;
    asker->idle++;
    asker->asked_us = sent_us;
    asker->holds_us = sent_us + hold_us;
}

void repair_askers_acted(struct repair_askers *askers, uint64_t id)
{
    struct repair_asker *asker = &askers->places[id % REPAIR_ASKER_PLACES];

    if (asker->id == id)
        asker->idle = 0;
}
