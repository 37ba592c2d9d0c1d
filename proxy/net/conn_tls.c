/* The output of a conn over TLS. Apart from conn_out.c, so that plain connections pay one branch for it. */
#include <string.h>

#include "proxy/net/conn_parts.h"
#include "proxy/net/tls.h"
#include "proxy/watch/counters.h"

size_t conn_write_tls(struct conn *conn, const uint8_t *bytes, size_t len)
{
    size_t all = 0, n = 1;

    while (all < len && n) {
        n = tls_send(conn->tls, bytes + all, len - all);
        all += n;
    }
    conn->written += all;
    counter_add(&conn->traffic->written, all);
    if (tls_has_unsent(conn->tls) || tls_is_broken(conn->tls))
        conn_mark_dirty(conn);
    return all;
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

bool conn_flush_tls(struct conn *conn)
{
    tls_push(conn->tls);
    while (conn->out.len) {
        size_t len;
        const uint8_t *bytes = next_record(conn, &len);
        size_t n = tls_send(conn->tls, bytes, len);
        if (!n)
            break;
        conn->written += n;
        counter_add(&conn->traffic->written, n);
        buf_consume(&conn->loop->pool, &conn->out, n);
    }
    if (tls_is_broken(conn->tls)) {
        conn_lose_tls(conn);
        return false;
    }
    conn_arm(conn, conn->armed_read, conn->armed_write);
    return true;
}
