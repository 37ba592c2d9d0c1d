#include "faultproxy/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECE = 65536, HELD_MAX = 1 << 20 };

struct chunk {
    STAILQ_ENTRY(chunk) link;
    int64_t due_ns;
    size_t start, len;
    char bytes[];
};

void pipe_init(struct pipe *pipe, int from, int to)
{
    *pipe = (struct pipe){.from = from, .to = to};
    STAILQ_INIT(&pipe->chunks);
}

static void drop_first(struct pipe *pipe)
{
    struct chunk *first = STAILQ_FIRST(&pipe->chunks);

    STAILQ_REMOVE_HEAD(&pipe->chunks, link);
    free(first);
}

void pipe_free(struct pipe *pipe)
{
    while (!STAILQ_EMPTY(&pipe->chunks))
        drop_first(pipe);
}

bool pipe_wants_input(const struct pipe *pipe)
{
    return !pipe->ended && pipe->held < HELD_MAX;
}

int64_t pipe_due_ns(const struct pipe *pipe)
{
    const struct chunk *first = STAILQ_FIRST(&pipe->chunks);

    if (first)
        return first->due_ns;
    return pipe->ended && !pipe->shut ? 0 : INT64_MAX;
}

static void hold(struct pipe *pipe, const char *bytes, size_t len, int64_t due_ns)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + len);

    if (!chunk)
        abort();
    if (due_ns < pipe->last_due_ns)
        due_ns = pipe->last_due_ns;
    *chunk = (struct chunk){.due_ns = due_ns, .len = len};
    memcpy(chunk->bytes, bytes, len);
    STAILQ_INSERT_TAIL(&pipe->chunks, chunk, link);
    pipe->held += len;
    pipe->last_due_ns = due_ns;
}

long pipe_read(struct pipe *pipe, const struct delay *delay, struct rng *rng, int64_t now_ns)
{
    static char piece[PIECE];
    int64_t due_ns = now_ns + delay->latency_ns;
    ssize_t len = recv(pipe->from, piece, sizeof(piece), MSG_DONTWAIT);

    if (len < 0)
        return errno == EAGAIN ? 0 : -1;
    if (delay->jitter_ns > 0)
        due_ns += (int64_t)(rng_next(rng) % (uint64_t)delay->jitter_ns);
    if (len == 0)
        pipe->ended = true;
    else
        hold(pipe, piece, (size_t)len, due_ns);
    return len;
}

long pipe_write(struct pipe *pipe, size_t slice, int64_t now_ns)
{
    struct chunk *first = STAILQ_FIRST(&pipe->chunks);

    if (!first) {
        if (pipe->ended && !pipe->shut)
            shutdown(pipe->to, SHUT_WR);
        pipe->shut = pipe->ended;
        return 0;
    }
    if (first->due_ns > now_ns)
        return 0;
    size_t len = first->len - first->start;
    if (slice > 0 && len > slice)
        len = slice;
    ssize_t sent = send(pipe->to, first->bytes + first->start, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    first->start += (size_t)sent;
    pipe->held -= (size_t)sent;
    if (first->start == first->len)
        drop_first(pipe);
    return sent;
}
