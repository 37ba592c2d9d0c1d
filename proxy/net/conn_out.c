/* The output of a conn: what is queued, and how it goes to the kernel. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/net/conn_parts.h"
#include "proxy/watch/counters.h"

enum {
    WRITE_THROUGH_MIN = 4096, /* from here on a copy costs more than an early write(2) */
    VECTORS_PER_WRITE = 32,
};

/* A failing send is reported by the next read event, never from within conn_write(): its callers hold live state. */
static size_t write_through(struct conn *conn, const uint8_t *bytes, size_t len)
{
    if (conn->tls)
        return conn_write_tls(conn, bytes, len);
    ssize_t n = send(conn->fd, bytes, len, MSG_NOSIGNAL);
    if (n <= 0)
        return 0;
    conn->written += (size_t)n;
    counter_add(&conn->traffic->written, (size_t)n);
    return (size_t)n;
}

void conn_write(struct conn *conn, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    if (!conn_is_open(conn) || !len)
        return;
    if (len >= WRITE_THROUGH_MIN && !conn->out.len && !conn->connecting) {
        size_t n = write_through(conn, p, len);
        p += n;
        len -= n;
        if (!len)
            return;
    }
    buf_append(&conn->loop->pool, &conn->out, p, len);
    conn_mark_dirty(conn);
}

void conn_write_buf(struct conn *conn, struct buf *bytes)
{
    if (!conn_is_open(conn)) {
        buf_clear(&conn->loop->pool, bytes);
        return;
    }
    buf_move(&conn->out, bytes);
    if (conn->out.len)
        conn_mark_dirty(conn);
}

static ssize_t send_blocks(const struct conn *conn)
{
    struct iovec vectors[VECTORS_PER_WRITE];
    int n = buf_vectors(&conn->out, vectors, VECTORS_PER_WRITE);
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)n};

    return sendmsg(conn->fd, &message, MSG_NOSIGNAL);
}

static ssize_t send_queued(const struct conn *conn)
{
    const struct block *only = conn->out.head;

    /* Nearly always; the vectors of the others cost more than all else in here. */
    if (!only->next)
        return send(conn->fd, only->data + only->start, only->end - only->start, MSG_NOSIGNAL);
    return send_blocks(conn);
}

static void tell_drained(struct conn *conn)
{
    if (!conn->notify_drained || conn->out.len > conn->low_water)
        return;
    conn->notify_drained = false;
    conn->ops->on_drained(conn);
}

/* False when the connection was lost. */
static bool flush_plain(struct conn *conn)
{
    while (conn->out.len) {
        ssize_t n = send_queued(conn);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            conn_arm(conn, conn->armed_read, true);
            break;
        }
        if (n < 0) {
            conn->ops->on_lost(conn, strerror(errno));
            return false;
        }
        conn->written += (size_t)n;
        counter_add(&conn->traffic->written, (size_t)n);
        buf_consume(&conn->loop->pool, &conn->out, (size_t)n);
    }
    if (!conn->out.len && conn->armed_write)
        conn_arm(conn, conn->armed_read, false);
    return true;
}

void conn_flush(struct conn *conn)
{
    conn_unmark_dirty(conn);
    if (!conn_is_open(conn) || conn->connecting)
        return;
    if (conn->tls ? conn_flush_tls(conn) : flush_plain(conn))
        tell_drained(conn);
}

void conn_notify_drained(struct conn *conn, size_t low_water)
{
    conn->notify_drained = true;
    conn->low_water = low_water;
}
