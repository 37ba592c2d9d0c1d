/*
 * A loop that is turned by hand, and connections on it whose other ends the test holds. What each callback was given is
 * counted and checked; a test can have a callback do something besides. All is closed again after a test, also after
 * one that failed.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/net/conn.h"
#include "proxy/net/owner.h"

struct end {
    struct conn conn;
    struct reapable reapable;
    int peer;       /* the other end; non-blocking */
    uint64_t taken; /* bytes consumed so far, all of them checked to be pattern() */
    unsigned inputs, eofs, losses, connects, drains;
    size_t offered;                              /* by the latest on_input */
    char reason[400];                            /* of the latest on_lost */
    size_t (*take)(struct end *end, size_t len); /* how much of it to consume; NULL: all */
    void (*then)(struct end *end);               /* called at the end of every callback but on_input */
};

enum { MOST_ENDS = 8 };

static struct loop loop;
static struct end ends[MOST_ENDS];
static int n_ends;

static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at % 251);
}

static struct end *end_of(struct conn *conn)
{
    return OWNER_OF(conn, struct end, conn);
}

/* What is offered continues what was consumed, without a gap. */
static size_t on_input(struct conn *conn, const uint8_t *bytes, size_t len)
{
    struct end *end = end_of(conn);

    end->inputs++;
    end->offered = len;
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], pattern(end->taken + i));
    size_t used = end->take ? end->take(end, len) : len;
    end->taken += used;
    return used;
}

static void happened(struct end *end, unsigned *what)
{
    (*what)++;
    if (end->then)
        end->then(end);
}

static void on_eof(struct conn *conn)
{
    happened(end_of(conn), &end_of(conn)->eofs);
}

static void on_lost(struct conn *conn, const char *reason)
{
    assert_true(strlen(reason) > 0);
    snprintf(end_of(conn)->reason, sizeof end_of(conn)->reason, "%s", reason);
    happened(end_of(conn), &end_of(conn)->losses);
}

static void on_connected(struct conn *conn)
{
    happened(end_of(conn), &end_of(conn)->connects);
}

static void on_drained(struct conn *conn)
{
    happened(end_of(conn), &end_of(conn)->drains);
}

static const struct conn_ops end_ops = {
    .on_input = on_input,
    .on_eof = on_eof,
    .on_lost = on_lost,
    .on_connected = on_connected,
    .on_drained = on_drained,
};

static void end_init(struct end *end, enum loop_order order)
{
    memset(end, 0, sizeof *end);
    end->peer = -1;
    conn_init(&end->conn, &loop, &end_ops, order);
}

static inline void end_adopt(struct end *end, enum loop_order order)
{
    int fds[2];

    end_init(end, order);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    end->peer = fds[1];
    conn_adopt(&end->conn, fds[0]);
}

/* One that is not connected yet. */
static inline struct end *end_new(enum loop_order order)
{
    assert_in_range(n_ends, 0, MOST_ENDS - 1);
    end_init(&ends[n_ends], order);
    return &ends[n_ends++];
}

static inline struct end *end_open(enum loop_order order)
{
    struct end *end = end_new(order);
    end_adopt(end, order);
    return end;
}

static void stop(struct deferred *work)
{
    (void)work;
    loop.stop = true;
}

/* One turn; it does not wait for anything. */
static inline void turn(void)
{
    struct deferred last = {.run = stop};

    loop.stop = false;
    loop_defer(&loop, &last);
    loop_run(&loop);
}

/* The peer sends the bytes of the pattern from `at` on; returns how many the kernel took. */
static inline size_t peer_send(struct end *end, uint64_t at, size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(at + i);
    ssize_t n = send(end->peer, bytes, len, MSG_NOSIGNAL);
    free(bytes);
    return n < 0 ? 0 : (size_t)n;
}

/* What the peer can read now must be the pattern from `at` on; returns how much, `most` at most. */
static inline size_t peer_read(struct end *end, uint64_t at, size_t most)
{
    uint8_t bytes[4096];
    size_t all = 0;

    while (all < most) {
        size_t room = most - all < sizeof bytes ? most - all : sizeof bytes;
        ssize_t n = recv(end->peer, bytes, room, 0);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], pattern(at + all + (uint64_t)i));
        all += (size_t)n;
    }
    return all;
}

/* Each test has a loop of its own. */
static int start_loop(void **state)
{
    (void)state;
    return loop_init(&loop) ? 0 : -1;
}

static int finish_loop(void **state)
{
    (void)state;
    for (; n_ends; n_ends--) {
        conn_close(&ends[n_ends - 1].conn);
        if (ends[n_ends - 1].peer >= 0)
            close(ends[n_ends - 1].peer);
    }
    loop_finish(&loop);
    return 0;
}

#define conn_test(function) cmocka_unit_test_setup_teardown(function, start_loop, finish_loop)
