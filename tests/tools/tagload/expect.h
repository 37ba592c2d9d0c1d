/*
 * What a client must be told next: one entry for each reply, in the order of the requests.
 *
 *   requests sent:   ECHO a        SET k b        GET k            EXEC
 *   queue (head):    [$1 a] ─────> [+OK] ───────> [$1 b | null*] ─> ...      * = an alternative, see below
 *
 * An entry holds the exact bytes that must come. Further bytes are allowed only after a fault was reported inside the
 * same group (requests about the same fresh keys): when SET was answered "unknown", GET may find the value or nothing,
 * but never another value. Owner: a client; entries are freed when matched or when their connection ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tagload/bytes.h"

/* When an alternative may be taken; a bit set of what happened in the group so far. */
enum {
    WHEN_ALWAYS = 0,
    WHEN_FAULTS = 1 << 0,      /* the run injects faults: one may have hit a request whose reply was switched off */
    WHEN_UNKNOWN = 1 << 1,     /* a request of the group was answered -RGUNKNOWN */
    WHEN_UNAVAILABLE = 1 << 2, /* a request of the group was answered -RGUNAVAIL */
};

enum expect_kind {
    EXPECT_EXACT,
    EXPECT_CONTAINS, /* the alternative stands somewhere in the reply (HELLO) */
    EXPECT_INTEGER,  /* any integer */
};

enum expect_state {
    STATE_KEEP,
    STATE_OPEN,  /* from this reply on the connection holds session state (WATCH, MULTI, SUBSCRIBE) */
    STATE_CLOSE, /* from this reply on it does not */
};

enum { EXPECT_ALTERNATIVES = 3 };

struct errand;

struct expect {
    STAILQ_ENTRY(expect) link;
    uint8_t kind;    /* enum expect_kind */
    uint8_t session; /* enum expect_state */
    uint8_t n_alternatives;
    bool starts_group;
    bool pin;          /* shows that a backend connection of its own was used */
    bool fatal;        /* after a fault here nothing is known about the connection's state: give it up */
    bool unsubscribed; /* no message may come after this reply */
    uint8_t when[EXPECT_ALTERNATIVES];
    struct bytes alternative[EXPECT_ALTERNATIVES];
    struct errand *errand; /* the partner's errand that this reply ends; may be NULL, not owned */
};

STAILQ_HEAD(expect_queue, expect);

struct expect *expect_new(enum expect_kind kind);
void expect_free(struct expect *e);
void expect_clear(struct expect_queue *queue);

/* The next alternative's bytes, to be filled by the caller. */
struct bytes *expect_alternative(struct expect *e, unsigned when);

/* Whether the reply is one that may come, given what happened in its group. */
bool expect_allows(const struct expect *e, unsigned happened, const uint8_t *reply, size_t len);

/* WHEN_UNKNOWN or WHEN_UNAVAILABLE if the reply is the proxy's word for that, else 0. */
unsigned expect_fault_of(const uint8_t *reply, size_t len);
bool expect_is_rgstate(const uint8_t *reply, size_t len);
