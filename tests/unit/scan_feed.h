/*
 * Feeds a scanner as a connection does: bytes come in pieces, and what the scanner has not consumed stands in front of
 * the next piece. Each call sees an allocation of exactly its bytes, so that a sanitizer notices a read beyond them.
 * Used by the unit tests and the fuzz targets.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/resp.h"

/* How the bytes are cut: a first piece, then pieces of `step`; with step 0 pieces of random size, from `seed`. */
struct cuts {
    size_t first, step;
    uint32_t seed;
};

static inline struct cuts cuts_whole(size_t len)
{
    return (struct cuts){len, 1, 0};
}

static inline struct cuts cuts_at(size_t offset, size_t len)
{
    return offset ? (struct cuts){offset, len, 0} : cuts_whole(len);
}

static inline struct cuts cuts_each(size_t step)
{
    return (struct cuts){step, step, 0};
}

static inline struct cuts cuts_random(uint32_t seed)
{
    return (struct cuts){seed % 16 + 1, 0, seed};
}

static inline size_t cuts_next(struct cuts *cuts)
{
    if (cuts->step) {
        return cuts->step;
    }
    cuts->seed = cuts->seed * 1664525 + 1013904223;
    return cuts->seed >> 28 ? cuts->seed >> 28 : 64;
}

static inline uint8_t *exact_copy(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy) {
        abort();
    }
    memcpy(copy, bytes, len);
    return copy;
}

static inline enum resp_status feed_request(struct request_scan *scan, const uint8_t *bytes, size_t len,
                                            const struct request_limits *limits, struct cuts cuts)
{
    enum resp_status status = RESP_MORE;
    size_t there = cuts.first;

    request_scan_reset(scan);
    for (size_t seen = 0; status == RESP_MORE && seen < len; there += cuts_next(&cuts)) {
        seen = there < len ? there : len;
        uint8_t *piece = exact_copy(bytes + scan->pos, seen - scan->pos);
        status = request_scan(scan, piece, seen - scan->pos, limits);
        free(piece);
    }
    return status;
}

static inline enum resp_status feed_reply(struct reply_scan *scan, const uint8_t *bytes, size_t len,
                                          const struct reply_limits *limits, struct cuts cuts)
{
    enum resp_status status = RESP_MORE;
    size_t there = cuts.first;

    reply_scan_reset(scan);
    for (size_t seen = 0; status == RESP_MORE && seen < len; there += cuts_next(&cuts)) {
        seen = there < len ? there : len;
        uint8_t *piece = exact_copy(bytes + scan->pos, seen - scan->pos);
        status = reply_scan(scan, piece, seen - scan->pos, limits);
        free(piece);
    }
    return status;
}

static inline bool same_arg(const struct request_scan *a, const struct request_scan *b, unsigned n)
{
    if (request_has_arg(a, n) != request_has_arg(b, n)) {
        return false;
    }
    return !request_has_arg(a, n) || (a->arg[n].off == b->arg[n].off && a->arg[n].len == b->arg[n].len);
}

static inline bool same_request(const struct request_scan *a, const struct request_scan *b)
{
    return a->pos == b->pos && a->skip == b->skip && a->argc == b->argc && a->args_left == b->args_left &&
           a->error == b->error && a->unexpected == b->unexpected && a->is_inline == b->is_inline &&
           same_arg(a, b, 0) && same_arg(a, b, 1);
}

static inline bool same_reply(const struct reply_scan *a, const struct reply_scan *b)
{
    return a->pos == b->pos && a->skip == b->skip && a->left == b->left && a->type == b->type;
}
