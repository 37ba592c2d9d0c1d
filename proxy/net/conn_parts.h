/*
 * What conn.c (life, input), conn_out.c (output) and conn_tls.c (output over TLS) need of each other, and nobody else
 * includes. Thread and owner: as conn.h says.
 */
#pragma once

#include "proxy/net/conn.h"

/* Which readiness to wait for. Over TLS, open connections wait for what their state calls for instead. */
void conn_arm(struct conn *conn, bool read, bool write);

/* To be flushed at the end of the turn, unless readiness to write will do it. */
static inline void conn_mark_dirty(struct conn *conn)
{
    if (conn->is_dirty || conn->connecting || conn->armed_write)
        return;
    conn->is_dirty = true;
    TAILQ_INSERT_TAIL(&conn->loop->dirty[conn->order], conn, dirty);
}

static inline void conn_unmark_dirty(struct conn *conn)
{
    if (!conn->is_dirty)
        return;
    conn->is_dirty = false;
    TAILQ_REMOVE(&conn->loop->dirty[conn->order], conn, dirty);
}

/* As conn_write() without a queue, and conn_flush(); the latter is false when the connection was lost. */
size_t conn_write_tls(struct conn *conn, const uint8_t *bytes, size_t len);
bool conn_flush_tls(struct conn *conn);

/* Tells the owner of the loss of a TLS connection. */
void conn_lose_tls(struct conn *conn);
