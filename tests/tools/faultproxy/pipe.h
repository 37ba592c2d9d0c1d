/*
 * One direction of a link: bytes read from one socket, held until they are due, written to the other in slices.
 *
 *   from ──> [chunk due 12 ms][chunk due 15 ms] ──> to        ended: `from` has ended; shut: `to` was told so
 *
 * Dues never decrease, so that bytes stay in order whatever the jitter. Owner: its link, which also owns the sockets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tagload/rng.h"

struct chunk;

struct pipe {
    int from, to;
    STAILQ_HEAD(chunks, chunk) chunks;
    size_t held;
    int64_t last_due_ns;
    bool ended, shut;
};

struct delay {
    int64_t latency_ns, jitter_ns; /* each piece read waits for latency .. latency + jitter */
};

void pipe_init(struct pipe *pipe, int from, int to);
void pipe_free(struct pipe *pipe); /* drops what is held */

bool pipe_wants_input(const struct pipe *pipe);
/* When the next bytes may go: INT64_MAX when there are none. */
int64_t pipe_due_ns(const struct pipe *pipe);

/* Bytes moved, or -1 when a socket failed. */
long pipe_read(struct pipe *pipe, const struct delay *delay, struct rng *rng, int64_t now_ns);
/* At most `slice` bytes (0: any number) of what is due; passes the end on when all is written. */
long pipe_write(struct pipe *pipe, size_t slice, int64_t now_ns);
