/*
 * A limiter call on its way: the command as it came, so that it can be sent again when the backend does not have its
 * script, and what the reply means for us. A client's are in the order of its requests.
 *
 * A call that is sent again is answered behind those that were sent after it. So that the client gets its replies in
 * order, they are held until then:
 *
 *   sent      A  B  C          A and C meet NOSCRIPT        replies come    A! B  C! A' C'
 *   held      A -> [B]  C -> [ ]                            client gets     A' B C'
 *
 * What runs later than what followed it is the limiter call only: NOSCRIPT was its answer, so it had not run.
 *
 * Owner: its client while it is in flight, then the limiter, which keeps some for the next calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "limiter/repair_call.h"
#include "proxy/flow/limit_notes.h"
#include "proxy/net/buf.h"

struct command;
struct limiter;

struct limit_kept {
    union {
        SLIST_ENTRY(limit_kept) spare;
        STAILQ_ENTRY(limit_kept) link;
    };
    struct buf held; /* replies to what was sent after it, once it was sent again */
    const struct command *row;
    struct limit_note note;
    int64_t sent_us;
    uint64_t epoch; /* of the limiter when it was sent */
    uint32_t len, cap;
    uint8_t shape;   /* enum limit_shape */
    uint8_t script;  /* enum limit_script_id */
    bool native : 1; /* sent as it is */
    bool resent : 1;
    bool learns : 1;           /* a denial is worth keeping */
    bool lowers : 1;           /* it may lower what keys count */
    bool shadow : 1;           /* its rule denies nothing */
    bool repairs : 1;          /* no limiter command, but one of a client that knows nothing of limits (repair.h) */
    bool adopted : 1;          /* no limiter command, but a script of a client's that a rule names (adopt.h) */
    bool as_is : 1;            /* of those two: sent as it is, only its reply is looked at */
    bool has_place : 1;        /* of what it repairs: a check that was told so */
    struct repair_terms terms; /* of that: what it was sent with */
    uint8_t bytes[];
};

STAILQ_HEAD(limit_kept_list, limit_kept);

/* Keeps a copy of the command; never NULL. */
struct limit_kept *limit_kept_new(struct limiter *limiter, const uint8_t *bytes, size_t len);
/* `held` must be empty. */
void limit_kept_give(struct limiter *limiter, struct limit_kept *kept);
void limit_kept_free_spare(struct limiter *limiter);
