#include "limiter/repair_born.h"

#define ENDLESS_AFTER_US INT64_C(1000000)

void repair_born_began(struct repair_born *born, uint64_t key, unsigned rule, int64_t now_us)
{
    born->keys[key % REPAIR_BORN_PLACES] = (struct repair_born_key){key, now_us, rule, true};
}

void repair_born_ends(struct repair_born *born, uint64_t key)
{
    struct repair_born_key *one = &born->keys[key % REPAIR_BORN_PLACES];

    if (one->key == key)
        one->used = false;
}

void repair_born_tick(struct repair_born *born, int64_t now_us, void (*endless)(void *arg, unsigned rule), void *arg)
{
    for (unsigned i = 0; i < REPAIR_BORN_PLACES; i++) {
        struct repair_born_key *one = &born->keys[i];

        if (one->used && now_us - one->at_us > ENDLESS_AFTER_US) {
            one->used = false;
            endless(arg, one->rule);
        }
    }
}
