/*
 * One client connection: connects, writes its stream in slices, stops at steps, disconnects when its fate says so,
 * cuts what arrives into replies and hands them to verdict. When a connection ends, everything outstanding is
 * forgotten.
 *
 *   CLOSED ──connect──> CONNECTING ──> OPEN ──QUIT, half-close, -RGSTATE──> ENDING
 *     ^                      │           │                                    │
 *     └────── reopen_at ─────┴───────────┴────────── closed by either ────────┘
 *
 * The stream: bytes queued so far, of which `sent` are written; a step holds the writer at its place until it is done.
 *
 *   [MULTI SET.......|GET EXEC ECHO.....]          sent <= first step's `at` <= queued
 *          ^sent     ^step: pause 7 ms  ^queued
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tagload/bytes.h"
#include "tagload/expect.h"
#include "tagload/load.h"
#include "tagload/rng.h"

enum step_kind {
    STEP_PAUSE,    /* arg: milliseconds */
    STEP_REPLIES,  /* arg: replies that must have arrived on this connection */
    STEP_MESSAGES, /* arg: pub/sub messages that must have arrived */
    STEP_ERRAND,   /* have the partner do something; arg: database */
};

struct step {
    STAILQ_ENTRY(step) link;
    uint64_t at; /* bytes of the stream that may be written before it is done */
    uint64_t arg;
    enum step_kind kind;
    struct bytes errand; /* an encoded request */
};

STAILQ_HEAD(step_queue, step);

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_OPEN, CLIENT_ENDING };

/* How this connection is going to end by our own hand. */
enum fate { FATE_NONE, FATE_AT_BYTE, FATE_AT_REPLY, FATE_QUIT, FATE_HALF_CLOSE };

struct client {
    struct source source;
    struct load *load;
    struct rng rng;
    uint32_t id;
    uint32_t generation; /* counts the connections */
    uint32_t group;      /* counts the groups of requests, for keys and tags */
    int fd;
    enum client_state state;
    bool is_partner;

    struct bytes out, in;
    uint64_t queued, sent; /* bytes of this connection's stream */
    struct step_queue steps;
    uint64_t pause_until_ms;
    uint32_t slices_left, slice_max; /* the next writes are random slices of at most slice_max bytes */

    enum fate fate;
    uint64_t fate_at; /* byte of the stream or reply number */
    bool fate_reset;  /* end with RST instead of FIN */
    bool shut;        /* half-closed */

    struct expect_queue expects;  /* replies that must come */
    struct expect_queue messages; /* pub/sub messages that must come */
    uint64_t expected, matched, messages_expected, messages_matched;
    struct expect_queue heard; /* messages that came since the subscription, in case one comes twice */
    uint32_t listening;        /* pub/sub groups that may still get messages */
    bool republished;          /* the partner had to publish again: messages may come twice */
    bool group_begins;         /* the next reply asked for starts a group */
    bool holds_session;        /* WATCH, MULTI or SUBSCRIBE is in force */
    bool told_rgstate;
    unsigned happened; /* faults within the current group, a set of WHEN_ bits */

    unsigned resp; /* 2 or 3, as it will be for the next request generated */
    unsigned db;
    uint32_t low_water; /* a new pipeline starts when no more than so many replies are outstanding */
    uint64_t progress_ms, reopen_at_ms;
};

void client_init(struct client *c, struct load *load, uint32_t id);
void client_free(struct client *c);

/* Once every millisecond: connect when due, end pauses, notice stalls. */
void client_tick(struct client *c);
/* Queued something outside of an event: let it be written. */
void client_advance(struct client *c);
/* Ends the connection and forgets everything outstanding. */
void client_drop(struct client *c);
/* The same as one of the load's own disconnects. */
void client_leave(struct client *c);
/* True when nothing is outstanding and nothing is left to be written. */
bool client_is_idle(const struct client *c);

void client_add_step(struct client *c, enum step_kind kind, uint64_t arg);
/* The errand's request is for the caller to fill. */
struct bytes *client_add_errand(struct client *c);
