/*
 * bench_floor: the least that a multiplexing proxy can do, as a contestant of tests/bench/run.
 *
 *   clients' recv > whole requests > backend out + FIFO      end of turn: one send per socket that has output
 *   backend's recv > replies in order > clients' out
 *
 * It finds the ends of requests and replies and nothing else: no limits, no health, no classes of commands, no clocks,
 * no counters; it ends at the first thing that is not as it hopes. What it costs is the price of the sockets, so what
 * a real proxy costs above it is the proxy's own, and a target that it misses cannot be met with sockets here.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 512, SCRATCH = 49152, SEND_AT_ONCE = 4096, READS = 4, FIFO = 1 << 16, ACCEPTS = 64 };

struct bytes {
    char *at;
    size_t start, end, cap;
};

/* Where the reader is within one request or reply: values still owed, and what is left of a bulk. */
struct frame {
    uint64_t owed, skip;
};

struct side {
    int fd;
    bool dirty, full; /* full: waits for EPOLLOUT */
    unsigned awaited; /* replies */
    size_t scanned;   /* of `in`, from its start */
    struct frame frame;
    struct bytes in, out;
    STAILQ_ENTRY(side) link;
};

static STAILQ_HEAD(, side) dirty = STAILQ_HEAD_INITIALIZER(dirty);
static struct side backend, listener;
static struct side *fifo[FIFO];
static uint32_t fifo_head, fifo_tail;
static int epoll_fd;
static char scratch[SCRATCH];

static void __attribute__((noreturn)) end(const char *why)
{
    perror(why);
    exit(1);
}

static size_t held(const struct bytes *bytes)
{
    return bytes->end - bytes->start;
}

/* Nothing is kept of what is empty, as idle connections must cost nothing. */
static void drop(struct bytes *bytes, size_t len)
{
    bytes->start += len;
    if (bytes->start < bytes->end)
        return;
    free(bytes->at);
    memset(bytes, 0, sizeof(*bytes));
}

static void append(struct bytes *bytes, const char *from, size_t len)
{
    if (bytes->end + len > bytes->cap) {
        bytes->cap = 2 * bytes->cap + len + 512;
        bytes->at = realloc(bytes->at, bytes->cap);
        if (!bytes->at)
            end("memory");
    }
    memcpy(bytes->at + bytes->end, from, len);
    bytes->end += len;
}

static void watch(struct side *side, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = side};
    if (epoll_ctl(epoll_fd, operation, side->fd, &event) < 0)
        end("epoll_ctl");
}

static void mark_dirty(struct side *side)
{
    if (side->dirty || side->full)
        return;
    side->dirty = true;
    STAILQ_INSERT_TAIL(&dirty, side, link);
}

static size_t send_some(const struct side *side, const char *bytes, size_t len)
{
    ssize_t n = send(side->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && side == &backend)
        end("backend");
    return n > 0 ? (size_t)n : 0;
}

static void put(struct side *side, const char *bytes, size_t len)
{
    size_t sent = 0;

    if (side->fd < 0 || !len)
        return;
    if (len >= SEND_AT_ONCE && !held(&side->out))
        sent = send_some(side, bytes, len);
    if (sent == len)
        return;
    append(&side->out, bytes + sent, len - sent);
    mark_dirty(side);
}

static void flush(struct side *side)
{
    size_t len = held(&side->out);

    side->dirty = false;
    if (side->fd < 0 || !len)
        return;
    drop(&side->out, send_some(side, side->out.at + side->out.start, len));
    bool full = held(&side->out);
    if (full != side->full)
        watch(side, EPOLL_CTL_MOD, EPOLLIN | (full ? (uint32_t)EPOLLOUT : 0));
    side->full = full;
}

/* A header line's number; whether it announces values or bytes is told by its type. */
static void read_header(struct frame *frame, const char *line)
{
    long n = *line == '*' || *line == '$' ? strtol(line + 1, NULL, 10) : 0;

    frame->owed--;
    if (*line == '*' && n > 0)
        frame->owed += (uint64_t)n;
    else if (*line == '$' && n >= 0)
        frame->skip = (uint64_t)n + 2;
}

/* Consumes all but an incomplete line, at most to the end of the frame, where `owed` and `skip` are 0. */
static size_t scan(struct frame *frame, const char *bytes, size_t len)
{
    size_t used = 0;

    if (!frame->owed && !frame->skip)
        frame->owed = 1;
    while (used < len && (frame->owed || frame->skip)) {
        size_t step = len - used < frame->skip ? len - used : frame->skip;
        used += step;
        frame->skip -= step;
        if (frame->skip || !frame->owed)
            continue;
        const char *line_end = memchr(bytes + used, '\n', len - used);
        if (!line_end)
            break;
        read_header(frame, bytes + used);
        used = (size_t)(line_end - bytes) + 1;
    }
    return used;
}

static bool is_whole(const struct frame *frame)
{
    return !frame->owed && !frame->skip;
}

/* Whole requests only: parts of two clients' requests must not mix. */
static size_t take_requests(struct side *client, const char *bytes, size_t len)
{
    size_t start = 0;

    while (client->scanned < len) {
        client->scanned += scan(&client->frame, bytes + client->scanned, len - client->scanned);
        if (!is_whole(&client->frame))
            break;
        if (fifo_tail - fifo_head == FIFO)
            end("too many requests");
        fifo[fifo_tail++ % FIFO] = client;
        client->awaited++;
        start = client->scanned;
    }
    put(&backend, bytes, start);
    client->scanned -= start;
    return start;
}

/* Replies go on as they come. */
static size_t take_replies(struct side *from, const char *bytes, size_t len)
{
    size_t used = 0;

    while (used < len) {
        size_t step = scan(&from->frame, bytes + used, len - used);
        if (fifo_head == fifo_tail)
            end("a reply that nobody awaits");
        struct side *client = fifo[fifo_head % FIFO];
        put(client, bytes + used, step);
        used += step;
        if (!is_whole(&from->frame))
            break;
        fifo_head++;
        if (--client->awaited == 0 && client->fd < 0)
            free(client);
    }
    return used;
}

static void close_client(struct side *client)
{
    if (client == &backend)
        end("backend closed");
    close(client->fd);
    client->fd = -1;
    if (client->dirty)
        STAILQ_REMOVE(&dirty, client, side, link);
    drop(&client->in, held(&client->in));
    drop(&client->out, held(&client->out));
    if (!client->awaited)
        free(client);
}

static size_t take(struct side *side, const char *bytes, size_t len)
{
    return side == &backend ? take_replies(side, bytes, len) : take_requests(side, bytes, len);
}

static void hand_up(struct side *side, size_t n)
{
    if (!held(&side->in)) {
        size_t used = take(side, scratch, n);
        if (used < n)
            append(&side->in, scratch + used, n - used);
        return;
    }
    append(&side->in, scratch, n);
    size_t used = take(side, side->in.at + side->in.start, held(&side->in));
    drop(&side->in, used);
}

static void on_readable(struct side *side)
{
    for (int i = 0; i < READS; i++) {
        ssize_t n = recv(side->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_client(side);
            return;
        }
        hand_up(side, (size_t)n);
        if ((size_t)n < sizeof(scratch))
            return;
    }
}

static void accept_clients(void)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
        if (fd < 0)
            return;
        struct side *client = calloc(1, sizeof(*client));
        if (!client)
            end("memory");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        client->fd = fd;
        watch(client, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void turn(void)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int ready = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, -1);

    for (int i = 0; i < ready; i++) {
        struct side *side = events[i].data.ptr;
        if (side == &listener) {
            accept_clients();
            continue;
        }
        if (events[i].events & EPOLLOUT)
            flush(side);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            on_readable(side);
    }
    struct side *side;
    while ((side = STAILQ_FIRST(&dirty))) {
        STAILQ_REMOVE_HEAD(&dirty, link);
        flush(side);
    }
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
}

int main(int argc, char **argv)
{
    int on = 1;

    if (argc != 3) {
        fputs("usage: bench_floor PORT BACKEND-PORT\n", stderr);
        return 2;
    }
    struct sockaddr_in here = loopback(argv[1]), there = loopback(argv[2]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    backend.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(backend.fd, (struct sockaddr *)&there, sizeof(there)) < 0)
        end("connect");
    setsockopt(backend.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener.fd, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener.fd, 4096) < 0)
        end("listen");
    watch(&backend, EPOLL_CTL_ADD, EPOLLIN);
    watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;)
        turn();
}
