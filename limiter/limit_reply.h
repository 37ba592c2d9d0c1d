/*
 * The replies of limiter calls as numbers, for those that are made here: fields by name, and the encoders. Arrays of
 * integers look alike in RESP2 and RESP3. Pure; any thread; nothing to free. What each field means stands with the
 * scripts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply_writer;

/* Why a call was answered as it was; the last field of LIMIT and SEM replies. */
enum limit_reason {
    REASON_OK = 0,
    REASON_LIMITED = 1,
    REASON_CACHED = 2,    /* denied here, as the backend would: limiter/deny_cache.h */
    REASON_COST = 3,      /* cost > limit: can never fit */
    REASON_CLOSED = 4,    /* no backend, denied by on_backend_down */
    REASON_OPEN = 5,      /* no backend, allowed by on_backend_down */
    REASON_SHADOW = 6,    /* would be denied */
    REASON_HOLD = 7,      /* after a switch of backends */
    REASON_QUEUED = 8,    /* allowed after retry_after, or waiting */
    REASON_LOCAL = 9,     /* no backend, counted here: limiter/local_limit.h */
    REASON_REPLAYED = 10, /* IDEM: the first reply again */
};

/* LIM.GCRA, LIM.WINDOW, LIM.SLIDE, LIM.REFUND. */
enum limit_field {
    LIMIT_ALLOWED,
    LIMIT_LIMIT,
    LIMIT_REMAINING,
    LIMIT_RETRY_MS, /* -1 allowed, -2 never */
    LIMIT_RESET_MS,
    LIMIT_NEXT_MS,
    LIMIT_CHARGED,
    LIMIT_REASON,
    LIMIT_FIELDS
};

/* SEM.ACQUIRE. */
enum sem_field {
    SEM_GRANTED,
    SEM_LIVE,
    SEM_MAX,
    SEM_LEASE_LEFT_MS,
    SEM_FENCE,
    SEM_SLOT, /* -1 none */
    SEM_ALREADY,
    SEM_RETRY_MS,
    SEM_QUEUE_POS, /* -1 none */
    SEM_REASON,
    SEM_FIELDS
};

/* CL.THROTTLE. */
enum throttle_field {
    THROTTLE_LIMITED,
    THROTTLE_LIMIT,
    THROTTLE_REMAINING,
    THROTTLE_RETRY_S, /* -1 allowed, or never */
    THROTTLE_RESET_S,
    THROTTLE_FIELDS
};

enum { LIMIT_RETRY_NONE = -1, LIMIT_RETRY_NEVER = -2 };

/* The fields of a LIMIT reply as CL.THROTTLE has them: whole seconds, begun ones too. */
void limit_reply_to_throttle(const int64_t limit[LIMIT_FIELDS], int64_t throttle[THROTTLE_FIELDS]);

/* An array of n integers, the whole reply; false when it is none. */
bool limit_reply_read(const uint8_t *reply, size_t len, int64_t *fields, unsigned n);

/* Some of them only: reads the one that `skip` lines come before, and moves *at behind it; false when it is none. */
bool limit_reply_next(const uint8_t **at, const uint8_t *end, unsigned skip, int64_t *field);

void limit_reply_put(struct reply_writer *w, const int64_t *fields, unsigned n);
