/*
 * CLIENT LIST, KILL, UNBLOCK and TRACKING REDIRECT concern clients of all workers. A tour is an errand that visits each
 * worker in turn and comes home: only the worker it is at touches it, so it needs no lock.
 *
 *   home ──> worker 0 ──> worker 1 ──> ... ──> home: the client that asked takes up its command again
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"

struct client;

/* Which clients a command means (Redis documentation, CLIENT KILL and CLIENT LIST). Zero means: any. */
struct client_filter {
    int64_t *ids;
    size_t n_ids;
    bool by_type;
    char type; /* 'n'ormal, 'p'ubsub, or one that no client of ours has */
    char address[64], local_address[64], user[64];
    int64_t min_age_s;
    uint64_t skip; /* client id that is not meant; 0 = none */
};

struct tour {
    struct errand errand;
    struct worker *home;
    uint64_t client_id; /* who asked */
    unsigned next;
    /* False: not done here yet, tour_go_on() will be called on this worker later. */
    bool (*visit)(struct tour *, struct worker *);
    struct pool_waiter waiter; /* for a visit that needs a pin */
    struct worker *at;
    struct client_filter filter;
    /* what was found */
    char *text;
    size_t text_len, text_cap;
    uint64_t matches;
    bool matched_self;
    uint64_t backend_id;         /* of the target's connection, and where that is; compared only */
    const struct backend *there; /* workers go over to another backend one after the other */
    uint64_t target;
};

/* Starts a tour for the command at the front of the client's input, which waits for it. The tour is freed by itself. */
void tour_start(struct client *client, struct tour *tour);
struct tour *tour_new(bool (*visit)(struct tour *, struct worker *));
void tour_go_on(struct tour *tour);
void tour_free(struct tour *tour);
/* What was looked for has this connection. */
void tour_note_pin(struct tour *tour, const struct lane *pin);
/* The id of that connection for a command that goes to `pool`; 0 when there is none, or on another backend, where the
 * same id is somebody else's. */
uint64_t tour_backend_id(const struct tour *tour, const struct pool *pool);
/* Drops the result the client holds, if any. */
void tour_forget(struct client *client);
