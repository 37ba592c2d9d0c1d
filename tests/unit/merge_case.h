/*
 * A server's replies as a lane hands them on, in pieces that end where the reply scanner stopped, and what
 * command_merge makes of them. Used by the unit tests and the fuzz target.
 */
#pragma once

#include "protocol/command_merge.h"
#include "scan_feed.h"

struct merge_output {
    uint8_t *bytes;
    size_t len, cap;
};

static inline void merge_collect(void *to, const void *bytes, size_t len)
{
    struct merge_output *output = to;

    if (output->len + len > output->cap) {
        output->cap = 2 * (output->len + len);
        output->bytes = realloc(output->bytes, output->cap);
        if (!output->bytes) {
            abort();
        }
    }
    memcpy(output->bytes + output->len, bytes, len);
    output->len += len;
}

/* Feeds one reply, which must be whole: the lane closes its connection over any other. */
static inline enum resp_status merge_feed(struct command_merge *merge, const uint8_t *bytes, size_t len,
                                          struct cuts cuts)
{
    struct reply_scan scan = {0};
    enum resp_status status = RESP_MORE;
    size_t there = cuts.first, delivered = 0;

    for (size_t seen = 0; status == RESP_MORE && seen < len; there += cuts_next(&cuts)) {
        seen = there < len ? there : len;
        status = reply_scan(&scan, bytes + scan.pos, seen - scan.pos, &reply_limits_default);
        if (status == RESP_ERROR || scan.pos == delivered) {
            continue;
        }
        uint8_t *piece = exact_copy(bytes + delivered, scan.pos - delivered);
        command_merge_feed(merge, piece, scan.pos - delivered, status == RESP_DONE);
        free(piece);
        delivered = scan.pos;
    }
    return status;
}
