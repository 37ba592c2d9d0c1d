/* The output of a conn: what is queued, and how it goes to the kernel, plainly or as TLS records. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/net/conn_parts.h"
#include "proxy/net/tls.h"

enum {
    WRITE_THROUGH_MIN = 4096, /* from here on a copy costs more than an early write(2) */
    VECTORS_PER_WRITE = 32,
};

void conn_mark_dirty(struct conn *conn)
{
    if (conn->is_dirty || conn->connecting || conn->armed_write)
        return;
    conn->is_dirty = true;
    TAILQ_INSERT_TAIL(&conn->loop->dirty[conn->order], conn, dirty);
}

void conn_unmark_dirty(struct conn *conn)
{
    if (!conn->is_dirty)
        return;
    conn->is_dirty = false;
    TAILQ_REMOVE(&conn->loop->dirty[conn->order], conn, dirty);
}

static size_t write_records(struct conn *conn, const uint8_t *bytes, size_t len)
{
    size_t all = 0, n = 1;

    while (all < len && n) {
        n = tls_send(conn->tls, bytes + all, len - all);
        all += n;
    }
    conn->written += all;
    if (tls_has_unsent(conn->tls) || tls_is_broken(conn->tls))
        conn_mark_dirty(conn);
    return all;
}

/* A failing send is reported by the next read event, never from within conn_write(): its callers hold live state. */
static size_t write_through(struct conn *conn, const uint8_t *bytes, size_t len)
{
    if (conn->tls)
        return write_records(conn, bytes, len);
    ssize_t n = send(conn->fd, bytes, len, MSG_NOSIGNAL);
    if (n <= 0)
        return 0;
    conn->written += (size_t)n;
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

static ssize_t send_queued(struct conn *conn)
{
    struct iovec vectors[VECTORS_PER_WRITE];
    int n = buf_vectors(&conn->out, vectors, VECTORS_PER_WRITE);

    if (n == 1)
        return send(conn->fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)n};
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL);
}

static void tell_drained(struct conn *conn)
{
    if (!conn->notify_drained || conn->out.len > conn->low_water)
        return;
    conn->notify_drained = false;
    conn->ops->on_drained(conn);
}

/* The loss of a connection frees its tls, but not before the owner has read why. */
void conn_lose_tls(struct conn *conn)
{
    char reason[TLS_REASON_LEN];

    strcpy(reason, tls_reason(conn->tls));
    conn->ops->on_lost(conn, reason);
}

/* The next bytes for a record: as many blocks as fit are joined, so that a turn is one record and one write(2). */
static const uint8_t *next_record(struct conn *conn, size_t *len)
{
    const struct block *block = conn->out.head;
    uint8_t *joined = conn->loop->record;

    *len = block->end - block->start;
    if (!block->next || *len >= TLS_RECORD_MAX)
        return block->data + block->start;
    for (*len = 0; block && *len < TLS_RECORD_MAX; block = block->next) {
        size_t room = TLS_RECORD_MAX - *len, n = block->end - block->start;
        if (n > room)
            n = room;
        memcpy(joined + *len, block->data + block->start, n);
        *len += n;
    }
    return joined;
}

/* False when the connection was lost. */
static bool flush_tls(struct conn *conn)
{
    tls_push(conn->tls);
    while (conn->out.len) {
        size_t len;
        const uint8_t *bytes = next_record(conn, &len);
        size_t n = tls_send(conn->tls, bytes, len);
        if (!n)
            break;
        conn->written += n;
        buf_consume(&conn->loop->pool, &conn->out, n);
    }
    if (tls_is_broken(conn->tls)) {
        conn_lose_tls(conn);
        return false;
    }
    conn_arm(conn, conn->armed_read, conn->armed_write);
    return true;
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
    if (conn->tls ? flush_tls(conn) : flush_plain(conn))
        tell_drained(conn);
}

void conn_notify_drained(struct conn *conn, size_t low_water)
{
    conn->notify_drained = true;
    conn->low_water = low_water;
}
