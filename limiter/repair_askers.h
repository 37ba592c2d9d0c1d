/*
 * Who asks again and again and never acts: a monitor may look like that, and each of its checks would keep a place from
 * those who act. So such an asker gets one place at a time: while it has it, its checks are refused, which is safe for
 * whoever they are. Where all who act are known to ask on the same connection, it gets one ever more seldom: then it is
 * hardly one half of a client. Where many who act never ask, it is likely to be that, and nobody is kept waiting.
 *
 * An asker is a connection and a key of a rule, known by a hash; of those that fall into one place only the last is
 * known. Plain data, embedded by its owner; one thread; no clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REPAIR_ASKER_PLACES = 1024 };

struct repair_askers {
    struct repair_asker {
        uint64_t id;
        unsigned idle;    /* checks with room since its last act */
        int64_t asked_us; /* the last one */
        int64_t until_us; /* when it may get another place than the one that it was told of */
    } places[REPAIR_ASKER_PLACES];
};

bool repair_askers_has_enough(const struct repair_askers *askers, uint64_t id, int64_t now_us);

/* What is known of the connections that act. */
enum repair_actors { REPAIR_ACTORS_UNKNOWN, REPAIR_ACTORS_ASK, REPAIR_ACTORS_DO_NOT_ASK };

/* A check was told that there is room, and has a place for hold_us. */
void repair_askers_told(struct repair_askers *askers, uint64_t id, int64_t sent_us, int64_t hold_us,
                        enum repair_actors actors);
/* A check was refused. */
void repair_askers_refused(struct repair_askers *askers, uint64_t id, int64_t sent_us);
/* Whether it is known to ask, too. */
bool repair_askers_acted(struct repair_askers *askers, uint64_t id);
