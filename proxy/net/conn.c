#include "proxy/net/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WRITE_THROUGH_MIN = 4096,  /* from here on a copy costs more than an early write(2) */
    READ_ROOM_MIN = 4096,      /* least room behind kept input, else its block grows */
    READS_PER_CALLBACK = 8,    /* a fast sender must not starve the others of the turn */
    KEPT_WHILE_PAUSED = 16384, /* a paused input is read this far, to notice its end */
    VECTORS_PER_WRITE = 32,
};

static void on_event(evutil_socket_t fd, short what, void *arg);

void conn_init(struct conn *conn, struct loop *loop, const struct conn_ops *ops, enum loop_order order)
{
    memset(conn, 0, sizeof(*conn));
    conn->loop = loop;
    conn->ops = ops;
    conn->fd = -1;
    conn->order = (uint8_t)order;
}

static void arm(struct conn *conn, bool read, bool write)
{
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
    conn->paused = conn->at_eof = conn->notify_drained = false;
    conn->armed_read = conn->armed_write = false;
    arm(conn, !connecting, connecting);
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

static void mark_dirty(struct conn *conn)
{
    if (conn->is_dirty || conn->connecting || conn->armed_write)
        return;
    conn->is_dirty = true;
    TAILQ_INSERT_TAIL(&conn->loop->dirty[conn->order], conn, dirty);
}

static void unmark_dirty(struct conn *conn)
{
    if (!conn->is_dirty)
        return;
    conn->is_dirty = false;
    TAILQ_REMOVE(&conn->loop->dirty[conn->order], conn, dirty);
}

/* A failing send is reported by the next read event, never from within conn_write(): its callers hold live state. */
static size_t write_through(struct conn *conn, const void *bytes, size_t len)
{
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
    mark_dirty(conn);
}

void conn_write_buf(struct conn *conn, struct buf *bytes)
{
    if (!conn_is_open(conn)) {
        buf_clear(&conn->loop->pool, bytes);
        return;
    }
    buf_move(&conn->out, bytes);
    if (conn->out.len)
        mark_dirty(conn);
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

void conn_flush(struct conn *conn)
{
    unmark_dirty(conn);
    if (!conn_is_open(conn) || conn->connecting)
        return;
    while (conn->out.len) {
        ssize_t n = send_queued(conn);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            arm(conn, conn->armed_read, true);
            break;
        }
        if (n < 0) {
            conn->ops->on_lost(conn, strerror(errno));
            return;
        }
        conn->written += (size_t)n;
        buf_consume(&conn->loop->pool, &conn->out, (size_t)n);
    }
    if (!conn->out.len && conn->armed_write)
        arm(conn, conn->armed_read, false);
    tell_drained(conn);
}

void conn_notify_drained(struct conn *conn, size_t low_water)
{
    conn->notify_drained = true;
    conn->low_water = low_water;
}

void conn_pause(struct conn *conn)
{
    /* The event stays armed until it fires: most pauses are over before that, and cost no system call. */
    conn->paused = true;
}

void conn_resume(struct conn *conn)
{
    if (!conn->paused || !conn_is_open(conn))
        return;
    conn->paused = false;
    if (!conn->at_eof)
        arm(conn, true, conn->armed_write);
    /* Also with nothing kept: the owner may have something of its own to go on with. */
    if (!conn->is_ready && !conn->in_input) {
        conn->is_ready = true;
        TAILQ_INSERT_TAIL(&conn->loop->ready, conn, ready);
        conn->loop->ready_count++;
    }
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

void conn_run_resumed(struct conn *conn)
{
    unmark_ready(conn);
    if (!conn_is_open(conn) || conn->paused)
        return;
    hand_up(conn, conn->loop->scratch, 0);
    if (conn_is_open(conn) && conn->at_eof && !conn->paused)
        conn->ops->on_eof(conn);
}

static void on_end_of_input(struct conn *conn)
{
    conn->at_eof = true;
    arm(conn, false, conn->armed_write);
    conn->ops->on_eof(conn);
}

/* One recv(2), behind the kept input when there is some. What it returned, and where the bytes are. */
static ssize_t receive(struct conn *conn, uint8_t **bytes, size_t *room)
{
    ssize_t n;

    *bytes = conn->loop->scratch;
    *room = sizeof(conn->loop->scratch);
    if (conn->in) {
        make_room(conn);
        *bytes = conn->in->data + conn->in->end;
        *room = conn->in->cap - conn->in->end;
    }
    do
        n = recv(conn->fd, *bytes, *room, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n;
    conn->received += (size_t)n;
    if (conn->in)
        conn->in->end += (uint32_t)n;
    return n;
}

static void on_readable(struct conn *conn)
{
    for (int i = 0; i < READS_PER_CALLBACK; i++) {
        uint8_t *bytes;
        size_t room;

        if (conn->paused && conn_kept_input(conn) >= KEPT_WHILE_PAUSED) {
            arm(conn, false, conn->armed_write);
            return;
        }
        ssize_t n = receive(conn, &bytes, &room);
        if (n == 0) {
            on_end_of_input(conn);
            return;
        }
        if (n < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                conn->ops->on_lost(conn, strerror(errno));
            return;
        }
        if (!conn->paused)
            hand_up(conn, bytes, (size_t)n);
        else if (!conn->in)
            keep(conn, bytes, (size_t)n);
        if (!conn_is_open(conn) || conn->paused || (size_t)n < room)
            return;
    }
}

static void on_connect_done(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        conn->ops->on_lost(conn, strerror(error));
        return;
    }
    conn->connecting = false;
    arm(conn, true, false);
    if (conn->out.len)
        mark_dirty(conn);
    conn->ops->on_connected(conn);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    (void)fd;

    if (conn->connecting) {
        on_connect_done(conn);
        return;
    }
    if (what & EV_WRITE)
        conn_flush(conn);
    if (conn_is_open(conn) && (what & EV_READ))
        on_readable(conn);
}

void conn_close(struct conn *conn)
{
    if (!conn_is_open(conn))
        return;
    arm(conn, false, false);
    unmark_dirty(conn);
    unmark_ready(conn);
    buf_clear(&conn->loop->pool, &conn->out);
    drop_kept(conn);
    close(conn->fd);
    conn->fd = -1;
}
