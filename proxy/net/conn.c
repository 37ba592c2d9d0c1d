#include "proxy/net/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/net/conn_parts.h"
#include "proxy/net/tls.h"
#include "proxy/watch/counters.h"

enum {
    READ_ROOM_MIN = 4096,      /* least room behind kept input, else its block grows */
    READS_PER_CALLBACK = 4,    /* a fast sender must not starve the others of the turn */
    KEPT_WHILE_PAUSED = 16384, /* a paused input is read this far, to notice its end */
    MOVED_MAX = BLOCK_LARGE,   /* kept input is moved up to this much, so that the next read is a large one */
};

static void on_event(evutil_socket_t fd, short what, void *arg);

void conn_init(struct conn *conn, struct loop *loop, const struct conn_ops *ops, enum loop_order order)
{
    memset(conn, 0, sizeof(*conn));
    conn->loop = loop;
    conn->ops = ops;
    conn->fd = -1;
    conn->order = (uint8_t)order;
    conn->traffic = &loop->traffic;
}

static bool is_paused_long(const struct conn *conn)
{
    return conn->paused && conn_kept_input(conn) >= KEPT_WHILE_PAUSED;
}

/* Reading may cause TLS to write, and writing may have to wait for input. */
static void ask_tls(const struct conn *conn, bool *read, bool *write)
{
    *read = (!conn->at_eof && !is_paused_long(conn)) || tls_wants_read(conn->tls);
    *write = tls_has_unsent(conn->tls);
}

void conn_arm(struct conn *conn, bool read, bool write)
{
    if (conn->tls && !conn->connecting)
        ask_tls(conn, &read, &write);
    if (conn->armed_read == read && conn->armed_write == write)
        return;
    if (conn->armed_read || conn->armed_write)
        event_del(&conn->ev);
    conn->armed_read = read;
    conn->armed_write = write;
    if (!read && !write)
        return;
    short what = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0) | EV_PERSIST);
    event_assign(&conn->ev, conn->loop->base, conn->fd, what, on_event, conn);
    event_add(&conn->ev, NULL);
}

static void reset(struct conn *conn, int fd, bool connecting)
{
    conn->fd = fd;
    conn->written = conn->received = 0;
    conn->connecting = connecting;
    conn->handshaking = conn->resumed = false;
    conn->paused = conn->at_eof = conn->notify_drained = false;
    conn->armed_read = conn->armed_write = false;
    conn_arm(conn, !connecting, connecting);
}

void conn_use_tls(struct conn *conn, struct tls_context *context)
{
    tls_free(conn->tls);
    conn->tls = context ? tls_new(context) : NULL;
}

void conn_adopt(struct conn *conn, int fd)
{
    reset(conn, fd, false);
}

bool conn_connect(struct conn *conn, const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0)
        return false;
    if (address->sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    if (connect(fd, address, len) < 0 && errno != EINPROGRESS) {
        int why = errno;
        close(fd);
        errno = why;
        return false;
    }
    reset(conn, fd, true);
    return true;
}

void conn_pause(struct conn *conn)
{
    /* The event stays armed until it fires: most pauses are over before that, and cost no system call. */
    conn->paused = true;
}

static void mark_ready(struct conn *conn)
{
    if (conn->is_ready)
        return;
    conn->is_ready = true;
    TAILQ_INSERT_TAIL(&conn->loop->ready, conn, ready);
    conn->loop->ready_count++;
}

void conn_resume(struct conn *conn)
{
    if (!conn->paused || !conn_is_open(conn))
        return;
    conn->paused = false;
    if (!conn->at_eof)
        conn_arm(conn, true, conn->armed_write);
    /* Also with nothing kept: the owner may have something of its own to go on with. */
    if (conn->in_input)
        return;
    conn->resumed = true;
    mark_ready(conn);
}

static void unmark_ready(struct conn *conn)
{
    if (!conn->is_ready)
        return;
    conn->is_ready = false;
    TAILQ_REMOVE(&conn->loop->ready, conn, ready);
    conn->loop->ready_count--;
}

size_t conn_kept_input(const struct conn *conn)
{
    return conn->in ? conn->in->end - conn->in->start : 0;
}

bool conn_peer_is_gone(const struct conn *conn)
{
    struct pollfd asked = {.fd = conn->fd, .events = POLLRDHUP};

    return poll(&asked, 1, 0) == 1;
}

static void drop_kept(struct conn *conn)
{
    block_give(&conn->loop->pool, conn->in);
    conn->in = NULL;
}

/* Makes room for reading behind the kept input, which moves to the front of its block. */
static void make_room(struct conn *conn)
{
    struct block *in = conn->in;
    uint32_t kept = in->end - in->start;

    if (in->cap - in->end >= READ_ROOM_MIN)
        return;
    if (in->cap - kept >= READ_ROOM_MIN) {
        memmove(in->data, in->data + in->start, kept);
    } else {
        struct block *larger = block_take(&conn->loop->pool, in->cap < BLOCK_LARGE ? BLOCK_LARGE : 2 * (size_t)in->cap);
        memcpy(larger->data, in->data + in->start, kept);
        block_give(&conn->loop->pool, in);
        conn->in = in = larger;
    }
    in->start = 0;
    in->end = kept;
}

static void keep(struct conn *conn, const uint8_t *bytes, size_t len)
{
    if (!len)
        return;
    conn->in = block_take(&conn->loop->pool, len);
    memcpy(conn->in->data, bytes, len);
    conn->in->end = (uint32_t)len;
}

/* Hands up what is kept, or `bytes` when nothing is. */
static void hand_up(struct conn *conn, const uint8_t *bytes, size_t len)
{
    size_t used;

    conn->in_input = true;
    if (!conn->in) {
        used = conn->ops->on_input(conn, bytes, len);
        if (conn_is_open(conn))
            keep(conn, bytes + used, len - used);
    } else {
        used = conn->ops->on_input(conn, conn->in->data + conn->in->start, conn_kept_input(conn));
        if (conn->in) {
            conn->in->start += (uint32_t)used;
            if (conn->in->start == conn->in->end)
                drop_kept(conn);
        }
    }
    conn->in_input = false;
}

static void on_end_of_input(struct conn *conn)
{
    conn->at_eof = true;
    conn_arm(conn, false, conn->armed_write);
    conn->ops->on_eof(conn);
}

/* One recv(2) or its like over TLS. */
static ssize_t receive_at(struct conn *conn, uint8_t *place, size_t room)
{
    ssize_t n;

    do
        n = conn->tls ? tls_recv(conn->tls, place, room) : recv(conn->fd, place, room, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n;
    conn->received += (size_t)n;
    counter_add(&conn->traffic->read, (size_t)n);
    return n;
}

static ssize_t receive_behind_kept(struct conn *conn, size_t *room)
{
    make_room(conn);
    *room = conn->in->cap - conn->in->end;
    ssize_t n = receive_at(conn, conn->in->data + conn->in->end, *room);
    if (n > 0)
        conn->in->end += (uint32_t)n;
    return n;
}

/* Into the scratch, of which *len bytes hold input then: what was kept comes first, so that both are one run. */
static ssize_t receive(struct conn *conn, size_t *len, size_t *room)
{
    size_t kept = conn_kept_input(conn);

    if (conn->in && (conn->paused || kept > MOVED_MAX))
        return receive_behind_kept(conn, room);
    if (kept)
        memcpy(conn->loop->scratch, conn->in->data + conn->in->start, kept);
    *room = conn->paused ? KEPT_WHILE_PAUSED : sizeof(conn->loop->scratch) - kept;
    ssize_t n = receive_at(conn, conn->loop->scratch + kept, *room);
    if (n > 0 && kept)
        drop_kept(conn);
    *len = kept + (size_t)n;
    return n;
}

static void on_read_error(struct conn *conn)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return;
    if (!conn->tls) {
        conn->ops->on_lost(conn, strerror(errno));
        return;
    }
    conn->at_eof = errno == ECONNABORTED;
    conn_lose_tls(conn);
}

static void on_readable(struct conn *conn)
{
    for (int i = 0; i < READS_PER_CALLBACK; i++) {
        size_t len = 0, room;

        if (is_paused_long(conn)) {
            conn_arm(conn, false, conn->armed_write);
            return;
        }
        ssize_t n = receive(conn, &len, &room);
        if (n == 0) {
            on_end_of_input(conn);
            return;
        }
        if (n < 0) {
            on_read_error(conn);
            return;
        }
        if (!conn->paused)
            hand_up(conn, conn->loop->scratch, len);
        else if (!conn->in)
            keep(conn, conn->loop->scratch, len);
        if (!conn_is_open(conn) || conn->paused || (conn->tls ? !tls_has_pending(conn->tls) : (size_t)n < room))
            return;
    }
}

/* Of what TLS has read from the kernel, no readiness will tell. */
static void go_on_with_tls(struct conn *conn)
{
    if (!conn_is_open(conn) || conn->connecting || conn->at_eof)
        return;
    conn_arm(conn, conn->armed_read, conn->armed_write);
    if (tls_has_pending(conn->tls) && !is_paused_long(conn))
        mark_ready(conn);
    if (tls_wants_read(conn->tls))
        conn_mark_dirty(conn); /* what waited for this input is tried again */
}

/* What was kept, when the owner was not ready for it. */
static void hand_up_again(struct conn *conn)
{
    hand_up(conn, conn->loop->scratch, 0);
    if (conn_is_open(conn) && conn->at_eof && !conn->paused)
        conn->ops->on_eof(conn);
}

void conn_run_ready(struct conn *conn)
{
    bool resumed = conn->resumed;

    unmark_ready(conn);
    conn->resumed = false;
    if (conn_is_open(conn) && resumed && !conn->paused)
        hand_up_again(conn);
    if (conn_is_open(conn) && conn->tls && !conn->at_eof && tls_has_pending(conn->tls))
        on_event(conn->fd, EV_READ, conn);
}

static void become_open(struct conn *conn)
{
    conn->connecting = conn->handshaking = false;
    conn_arm(conn, true, false);
    if (conn->out.len)
        conn_mark_dirty(conn);
    if (conn->tls && tls_has_pending(conn->tls))
        mark_ready(conn);
    conn->ops->on_connected(conn);
}

static void go_on_with_handshake(struct conn *conn)
{
    switch (tls_handshake(conn->tls)) {
    case TLS_DONE:
        become_open(conn);
        break;
    case TLS_WAITS:
        conn_arm(conn, true, tls_has_unsent(conn->tls));
        break;
    case TLS_FAILED:
        conn_lose_tls(conn);
        break;
    }
}

static void on_connect_done(struct conn *conn)
{
    if (!conn->tls) {
        become_open(conn);
    } else if (tls_start(conn->tls, conn->fd)) {
        conn->handshaking = true;
        go_on_with_handshake(conn);
    } else {
        conn_lose_tls(conn);
    }
}

static void go_on_with_connecting(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (conn->handshaking) {
        go_on_with_handshake(conn);
        return;
    }
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error)
        conn->ops->on_lost(conn, strerror(error));
    else
        on_connect_done(conn);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    (void)fd;

    if (conn->connecting) {
        go_on_with_connecting(conn);
        return;
    }
    if (what & EV_WRITE)
        conn_flush(conn);
    if (!conn_is_open(conn) || !(what & EV_READ))
        return;
    on_readable(conn);
    if (conn->tls)
        go_on_with_tls(conn);
}

void conn_close(struct conn *conn)
{
    tls_free(conn->tls);
    conn->tls = NULL;
    if (!conn_is_open(conn))
        return;
    conn_arm(conn, false, false);
    conn_unmark_dirty(conn);
    unmark_ready(conn);
    buf_clear(&conn->loop->pool, &conn->out);
    drop_kept(conn);
    close(conn->fd);
    conn->fd = -1;
}
