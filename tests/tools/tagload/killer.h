/*
 * Ends the backend's client connections from a connection of its own straight to the server, in turn all ordinary ones,
 * all subscribed ones and one picked at random by its id. Owner: the load.
 */
#pragma once

#include "tagload/bytes.h"
#include "tagload/load.h"

struct killer {
    struct source source;
    struct load *load;
    struct rng rng;
    struct bytes in;
    uint64_t next_ms;
    int fd;
    bool asked_list; /* the reply to come is a CLIENT LIST */
    bool busy;       /* a reply is to come */
};

/* NULL with a message on stderr when the backend cannot be reached. */
struct killer *killer_new(struct load *load);
void killer_free(struct killer *k);
void killer_tick(struct killer *k);
