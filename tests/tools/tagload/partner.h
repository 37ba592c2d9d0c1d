/*
 * The partner: one connection through the same proxy that pushes to lists and publishes for clients which cannot do so
 * themselves because they are blocked or subscribed. It does not disconnect by itself. An errand that met a fault is
 * done again as long as its client still wants it, so a blocked client is never left alone; an errand may then have
 * been done twice, which client->republished tells. Owner: the load.
 */
#pragma once

#include <sys/queue.h>

#include "tagload/client.h"

struct errand {
    TAILQ_ENTRY(errand) link;
    struct client *wanted_by; /* NULL: by the run itself */
    uint32_t generation;      /* of the client's connection at that time */
    unsigned db;
    struct bytes request;
};

struct partner {
    struct client client;
    TAILQ_HEAD(, errand) errands; /* not done yet */
    bool prepared;
};

struct partner *partner_new(struct load *load);
void partner_free(struct partner *p);
/* True once every database holds its mark: before that the others must not start. */
bool partner_is_prepared(const struct partner *p);

/* Takes the bytes over. The reply to the request is an integer. */
void partner_send(struct partner *p, struct client *wanted_by, unsigned db, struct bytes *request);
/* The partner's connection is open (again): do what is not done. */
void partner_resume(struct partner *p);
void partner_errand_done(struct partner *p, struct errand *errand);
void partner_errand_failed(struct partner *p, struct errand *errand);
