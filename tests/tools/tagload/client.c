#include "tagload/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tagload/frame.h"
#include "tagload/partner.h"
#include "tagload/traffic.h"
#include "tagload/verdict.h"

enum { READ_SIZE = 65536, KEPT_FOR_REPORT = 256, REOPEN_MS = 12, RETRY_MS = 20, GONE_MS = 5000 };

static void step_free(struct client *c)
{
    struct step *s = STAILQ_FIRST(&c->steps);

    STAILQ_REMOVE_HEAD(&c->steps, link);
    bytes_free(&s->errand);
    free(s);
}

static struct step *step_new(struct client *c, enum step_kind kind, uint64_t arg)
{
    struct step *s = calloc(1, sizeof(*s));

    if (!s)
        abort();
    s->at = c->queued;
    s->kind = kind;
    s->arg = arg;
    STAILQ_INSERT_TAIL(&c->steps, s, link);
    return s;
}

void client_add_step(struct client *c, enum step_kind kind, uint64_t arg)
{
    step_new(c, kind, arg);
}

struct bytes *client_add_errand(struct client *c)
{
    return &step_new(c, STEP_ERRAND, c->db)->errand;
}

static void forget(struct client *c)
{
    while (!STAILQ_EMPTY(&c->steps))
        step_free(c);
    expect_clear(&c->expects);
    expect_clear(&c->messages);
    expect_clear(&c->heard);
    c->out.start = c->out.end = c->in.start = c->in.end = 0;
    c->queued = c->sent = 0;
    c->expected = c->matched = c->messages_expected = c->messages_matched = 0;
    c->pause_until_ms = 0;
    c->slices_left = 0;
    c->fate = FATE_NONE;
    c->fate_reset = c->shut = c->republished = c->holds_session = c->told_rgstate = c->group_begins = false;
    c->listening = 0;
    c->happened = 0;
    c->resp = 2;
    c->db = 0;
}

void client_drop(struct client *c)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (c->fd >= 0) {
        if (c->fate_reset)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(c->fd);
    }
    c->fd = -1;
    c->state = CLIENT_CLOSED;
    c->reopen_at_ms = c->load->now_ms + rng_below(&c->rng, REOPEN_MS);
    forget(c);
}

void client_leave(struct client *c)
{
    c->load->counters.disconnects++;
    client_drop(c);
}

bool client_is_idle(const struct client *c)
{
    return c->matched == c->expected && c->messages_matched == c->messages_expected && c->sent == c->queued &&
           STAILQ_EMPTY(&c->steps) && c->state != CLIENT_ENDING;
}

/* How far the stream may be written now. */
static uint64_t write_limit(const struct client *c)
{
    const struct step *s = STAILQ_FIRST(&c->steps);
    uint64_t limit = s ? s->at : c->queued;

    if (c->fate == FATE_AT_BYTE && c->fate_at < limit)
        limit = c->fate_at;
    return limit;
}

static bool step_is_done(struct client *c, struct step *s)
{
    switch (s->kind) {
    case STEP_PAUSE:
        if (c->pause_until_ms == 0)
            c->pause_until_ms = c->load->now_ms + s->arg;
        if (c->load->now_ms < c->pause_until_ms)
            return false;
        c->pause_until_ms = 0;
        return true;
    case STEP_REPLIES:
        return c->matched >= s->arg;
    case STEP_MESSAGES:
        return c->messages_matched >= s->arg;
    case STEP_ERRAND:
        partner_send(c->load->partner, c, (unsigned)s->arg, &s->errand);
        return true;
    }
    abort();
}

static void do_steps(struct client *c)
{
    struct step *s;

    while ((s = STAILQ_FIRST(&c->steps)) && s->at <= c->sent && step_is_done(c, s))
        step_free(c);
}

static void watch(struct client *c)
{
    bool wants_write = c->state == CLIENT_CONNECTING || (c->state == CLIENT_OPEN && c->sent < write_limit(c));

    load_watch(c->load, c->fd, &c->source, EPOLLIN | (wants_write ? EPOLLOUT : 0), false);
}

/* The moments at which the connection ends by our own hand. */
static void meet_fate(struct client *c)
{
    if (c->fate == FATE_AT_BYTE && c->sent >= c->fate_at) {
        client_leave(c);
        return;
    }
    if (c->sent < c->queued || !STAILQ_EMPTY(&c->steps))
        return;
    if (c->fate == FATE_HALF_CLOSE && !c->shut) {
        c->shut = true;
        c->state = CLIENT_ENDING;
        shutdown(c->fd, SHUT_WR);
    } else if (c->fate == FATE_QUIT) {
        c->state = CLIENT_ENDING;
    }
}

void client_advance(struct client *c)
{
    if (c->state == CLIENT_OPEN) {
        do_steps(c);
        if (!c->load->stopping && !c->is_partner && c->fate != FATE_QUIT && c->fate != FATE_HALF_CLOSE &&
            c->sent == c->queued && STAILQ_EMPTY(&c->steps) && c->expected - c->matched <= c->low_water)
            traffic_next(c);
        do_steps(c);
        meet_fate(c);
    }
    if (c->fd >= 0)
        watch(c);
}

static void write_some(struct client *c)
{
    size_t n = (size_t)(write_limit(c) - c->sent);

    if (n == 0)
        return;
    if (c->slices_left > 0) {
        uint32_t slice = rng_between(&c->rng, 1, c->slice_max);

        n = n < slice ? n : slice;
        c->slices_left--;
    }
    ssize_t sent = send(c->fd, bytes_front(&c->out), n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0)
        return; /* a broken connection shows up in the read */
    c->out.start += (size_t)sent;
    c->sent += (uint64_t)sent;
    c->progress_ms = c->load->now_ms;
}

/* False when the connection has ended. */
static bool read_some(struct client *c)
{
    uint32_t generation = c->generation;
    ssize_t got = recv(c->fd, bytes_room(&c->in, READ_SIZE, KEPT_FOR_REPORT), READ_SIZE, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        verdict_closed(c);
        return false;
    }
    c->in.end += (size_t)got;
    while (bytes_len(&c->in) > 0) {
        long len = frame_len(bytes_front(&c->in), bytes_len(&c->in));

        if (len < 0)
            verdict_not_resp(c);
        if (len <= 0)
            break;
        if (!verdict_reply(c, bytes_front(&c->in), (size_t)len))
            return false;
        c->in.start += (size_t)len;
    }
    return c->fd >= 0 && c->generation == generation;
}

static void on_refused(struct client *c)
{
    struct load *load = c->load;

    client_drop(c);
    c->reopen_at_ms = load->now_ms + RETRY_MS;
    if (load->refused_ms == 0)
        load->refused_ms = load->now_ms;
    load->gone = load->now_ms - load->refused_ms > GONE_MS;
}

static void on_connected(struct client *c)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        on_refused(c);
        return;
    }
    c->load->refused_ms = 0;
    c->state = CLIENT_OPEN;
    c->progress_ms = c->load->now_ms;
    if (c->generation > 1)
        c->load->counters.reconnects++;
    if (c->is_partner)
        partner_resume(c->load->partner);
    else
        traffic_open(c);
}

static void on_event(struct source *source, uint32_t events)
{
    struct client *c = (struct client *)source;

    if (c->fd < 0)
        return; /* dropped by an earlier event of this turn */
    if (c->state == CLIENT_CONNECTING) {
        on_connected(c);
    } else {
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_some(c))
            return;
        if ((events & EPOLLOUT) && c->state == CLIENT_OPEN)
            write_some(c);
    }
    client_advance(c);
}

static void open_connection(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(c->load->options.target_port)};
    int on = 1;

    inet_pton(AF_INET, c->load->options.target_host, &to.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        abort();
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->state = CLIENT_CONNECTING;
    c->generation++;
    c->progress_ms = c->load->now_ms;
    load_watch(c->load, c->fd, &c->source, EPOLLOUT, true);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
        on_refused(c);
}

void client_tick(struct client *c)
{
    uint64_t now_ms = c->load->now_ms;

    if (c->state == CLIENT_CLOSED) {
        if (now_ms >= c->reopen_at_ms && (!c->load->stopping || c->is_partner))
            open_connection(c);
        return;
    }
    if (now_ms > c->progress_ms + c->load->options.stall_ms) {
        if (c->state != CLIENT_OPEN || !client_is_idle(c))
            verdict_stalled(c);
        return;
    }
    if (!STAILQ_EMPTY(&c->steps))
        client_advance(c);
}

void client_init(struct client *c, struct load *load, uint32_t id)
{
    *c = (struct client){.source = {on_event}, .load = load, .id = id, .fd = -1, .resp = 2};
    c->rng.state = load->options.seed ^ (0x6a09e667f3bcc909u * (id + 1));
    STAILQ_INIT(&c->steps);
    STAILQ_INIT(&c->expects);
    STAILQ_INIT(&c->messages);
    STAILQ_INIT(&c->heard);
}

void client_free(struct client *c)
{
    client_drop(c);
    bytes_free(&c->out);
    bytes_free(&c->in);
}
