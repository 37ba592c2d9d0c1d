/*
 * One stream connection: how bytes come and go. Nobody else reads or writes a socket.
 *
 * A conn is embedded in its owner (client, lane), which gives it operations. Input is handed up in place; what the
 * owner does not consume is kept and handed up again, with what arrives behind it, as one contiguous run. Output is
 * queued and written at the end of the turn; large pieces go straight to the kernel when nothing is queued before them.
 *
 *   conn_connect ──> connecting ──(TLS: handshaking)──on_connected──> open <── conn_adopt
 *                        │               │                            │  ^
 *                        │               │                  conn_pause│  │conn_resume
 *                        │               │                            v  │
 *                        └───────────────┴──on_lost──> ... open, input paused ──on_eof / on_lost──> (owner) conn_close
 *
 * Over TLS all bytes and counts here are the plain ones, and bytes count as written once TLS has them: a record that
 * the kernel took in part cannot be taken back. An end of the stream without close_notify is a loss, with at_eof set.
 *
 * Thread: that of its loop. The owner frees itself (with the conn in it) by loop_reap() after conn_close().
 */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "proxy/net/loop.h"

struct tls;
struct tls_context;

struct conn_ops {
    /* Takes what it wants from the front and returns how much. To be called again before new bytes come: conn_pause().
     */
    size_t (*on_input)(struct conn *conn, const uint8_t *bytes, size_t len);
    /* The peer finished sending; everything it sent was handed up, but some may not be consumed. */
    void (*on_eof)(struct conn *conn);
    /* The connection broke, or could not be made. The owner closes it. */
    void (*on_lost)(struct conn *conn, const char *reason);
    void (*on_connected)(struct conn *conn);
    /* Called once after conn_notify_drained() when at most `low_water` bytes are queued. */
    void (*on_drained)(struct conn *conn);
};

struct conn {
    struct event ev;
    const struct conn_ops *ops;
    struct loop *loop;
    struct tls *tls;         /* NULL: plain */
    struct traffic *traffic; /* where its bytes are counted; the owner may set another one of its thread */
    struct block *in;        /* input that was not consumed yet */
    struct buf out;          /* output that the kernel has not taken yet */
    uint64_t written;        /* bytes the kernel or TLS has taken since conn_connect or conn_adopt */
    uint64_t received;       /* bytes read since then */
    TAILQ_ENTRY(conn) dirty, ready;
    size_t low_water;
    int fd;               /* -1 when closed */
    uint8_t order;        /* enum loop_order */
    bool connecting : 1;  /* on_connected was not called yet */
    bool handshaking : 1; /* connecting, and at TLS already */
    bool paused : 1;      /* input is not handed up */
    bool resumed : 1;     /* kept input is to be handed up */
    bool at_eof : 1;
    bool is_dirty : 1;
    bool is_ready : 1;
    bool notify_drained : 1;
    bool in_input : 1; /* on_input is on the stack */
    bool armed_read : 1;
    bool armed_write : 1;
};

/* A closed conn of `loop`, written in `order`. */
void conn_init(struct conn *conn, struct loop *loop, const struct conn_ops *ops, enum loop_order order);

/* Takes over a connected, non-blocking socket. */
void conn_adopt(struct conn *conn, int fd);

/* The next conn_connect() speaks TLS; with NULL it does not. For a closed conn; conn_close() forgets it. */
void conn_use_tls(struct conn *conn, struct tls_context *context);

/* Starts connecting; on_connected or on_lost follows, never before this returns. False: no socket, errno says why. */
bool conn_connect(struct conn *conn, const struct sockaddr *address, socklen_t len);

/* Queues bytes; they are copied. Bytes for a closed connection are dropped. */
void conn_write(struct conn *conn, const void *bytes, size_t len);
/* Queues the blocks of `bytes`, which becomes empty. */
void conn_write_buf(struct conn *conn, struct buf *bytes);
/* Writes what is queued, as far as the kernel takes it. */
void conn_flush(struct conn *conn);
void conn_notify_drained(struct conn *conn, size_t low_water);

/*
 * Stops and restarts handing up input. A paused connection is still read for a bounded distance, so that its end is
 * noticed. After conn_resume() kept input is handed up in the same or the next turn, even when there is none.
 */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

/* Drops everything and closes the socket at once, over TLS with a close_notify if the kernel takes it. */
void conn_close(struct conn *conn);

static inline bool conn_is_open(const struct conn *conn)
{
    return conn->fd >= 0;
}

/* Whether the peer has closed, asked of the kernel: for connections that are not read at the moment. */
bool conn_peer_is_gone(const struct conn *conn);

/* Bytes of input that were read but not consumed. */
size_t conn_kept_input(const struct conn *conn);

/* For the loop: hands up kept input of a resumed connection, and goes on reading what TLS holds. */
void conn_run_ready(struct conn *conn);
