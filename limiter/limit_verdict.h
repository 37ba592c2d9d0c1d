/*
 * From a script's reply to the client's. Nearly every reply passes byte for byte; this tells which does not and what
 * takes its place. Pure functions of bytes; nothing is kept or allocated.
 * Rule: Redis serialization protocol specification; the shapes of Redis 8.8 for INCREX; contracts in limiter/scripts.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "limiter/limit_call.h"

struct reply_writer;

enum limit_outcome {
    LIMIT_PASS,       /* as it is */
    LIMIT_CHANGED,    /* the writer holds what the client gets */
    LIMIT_TOO_LATE,   /* the deadline was over, nothing was done; passes as it is */
    LIMIT_NOT_LOADED, /* NOSCRIPT, nothing was done: load the script or send the call as EVAL */
};

/* Whether the reply must be complete before limit_verdict(); otherwise its first 32 bytes are enough. */
static inline bool limit_verdict_needs_all(enum limit_shape shape)
{
    return shape != LIMIT_AS_IT_IS;
}

/* The first two of a LIMIT_TOLD reply, and where the third begins; 0: it is an error, or none of that shape. */
size_t limit_told(const uint8_t *reply, size_t len, int64_t told[2]);

/* How much room the writer needs for a reply of this length. */
static inline size_t limit_verdict_room(size_t len)
{
    return len + 128;
}

/* Judges a reply of `len` bytes that came over a connection in this RESP version (2 or 3). */
enum limit_outcome limit_verdict(enum limit_shape shape, unsigned resp, const uint8_t *reply, size_t len,
                                 struct reply_writer *w);
