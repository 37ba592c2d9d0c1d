/*
 * One command on its way: what a lane remembers until the reply has come. Replies carry no number, so the order of this
 * queue is all that says whose reply it is.
 *
 *   lane_send ──> [ oldest | ... | newest ]       newest bytes still queued here: "unsent"
 *                     │
 *   reply ────────────┘ goes to the oldest's owner, then it is popped
 *
 * An owner may be gone before its reply comes; it stays in memory until its last request is popped and drops the bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
struct lane;

/* What became of a request whose lane was lost, or that waited too long. */
enum request_loss {
    REQUEST_UNSENT,  /* not one byte was handed to the kernel: it did not run */
    REQUEST_UNKNOWN, /* some of it was: it may have run */
    REQUEST_TIMEOUT, /* it was sent, command_timeout is over, the late reply will be dropped */
};

/* Whom a reply belongs to: embedded in clients and lanes (for their handshakes). */
struct requester {
    const struct requester_ops *ops;
};

struct requester_ops {
    /* The next bytes of the reply; the request is popped after `last`. request->type is the reply's first byte. */
    void (*on_reply)(struct requester *, struct lane *, struct request *, const uint8_t *bytes, size_t len, bool last);
    /* No (further) reply will come. Bytes of it were delivered before when request->begun. */
    void (*on_lost)(struct requester *, struct lane *, struct request *, enum request_loss);
};

struct request {
    struct requester *owner;
    uint64_t start;    /* offset of its first byte in all the lane was given to send */
    uint32_t sent_ms;  /* low bits of the loop's clock when it was given */
    uint32_t replies;  /* replies still to come: SUBSCRIBE has one per channel, a run one per command, all else one */
    uint32_t given_us; /* when it was given, finer; unlike sent_ms it stays when the lane takes long to connect */
    uint8_t kind;      /* the owner's business */
    uint8_t type;      /* first byte of the current reply */
    uint8_t class;     /* enum request_class */
    bool begun : 1;    /* bytes of the current reply were delivered */
    bool dropped : 1;  /* the owner was told that it is lost: later bytes are nobody's */
    bool muted : 1;    /* CLIENT REPLY OFF or SKIP: the owner drops the reply */
    bool confirms : 1; /* (un)subscribing: its replies are confirmations */
    bool joined : 1;   /* goes with the one before it or not at all: the same transaction in one piece */
    bool keyed : 1;    /* the client knows its key still */
    bool slow : 1;     /* it took longer than stats.slowlog */
    bool run : 1;      /* stands for `replies` commands of one owner in a row, which all mean the same to it */
};

/* A ring that doubles when full. */
struct request_queue {
    struct request *ring;
    uint32_t mask; /* capacity - 1, or 0 when nothing was allocated yet */
    uint32_t head, tail;
};

static inline uint32_t request_count(const struct request_queue *queue)
{
    return queue->tail - queue->head;
}

static inline struct request *request_at(const struct request_queue *queue, uint32_t i)
{
    return &queue->ring[(queue->head + i) & queue->mask];
}

static inline struct request *request_oldest(const struct request_queue *queue)
{
    return request_at(queue, 0);
}

struct request *request_push(struct request_queue *queue); /* zeroed but for one reply to come; never NULL */

static inline void request_pop(struct request_queue *queue)
{
    queue->head++;
}

void request_queue_finish(struct request_queue *queue);
