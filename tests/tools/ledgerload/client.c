#include "ledgerload/client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_NS = 1000000, TOLD_MAX = 10 };

int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void note(struct client *c, enum outcome outcome, int64_t now_ns)
{
    struct record record = {c->sent_ns, now_ns, c->number, c->sequence, outcome};

    book_add(&c->load->book, &record);
    c->sequence++;
}

static void lose(struct client *c, int64_t now_ns, int64_t retry_ns)
{
    if (c->state == CLIENT_WAITING)
        note(c, OUTCOME_closed, now_ns);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->line_len = 0;
    c->state = CLIENT_CLOSED;
    c->resume_ns = now_ns + retry_ns;
}

static void refuse(struct client *c)
{
    c->load->refused++;
    lose(c, clock_ns(), RETRY_NS);
}

static void watch(struct client *c, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(c->load->epoll_fd, operation, c->fd, &event) < 0)
        abort();
}

static void ask(struct client *c)
{
    char key[96], request[160];
    int key_len = snprintf(key, sizeof(key), "%s:%u:%u", c->load->prefix, c->number, c->sequence);
    int len = snprintf(request, sizeof(request), "*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n", key_len, key);

    c->sent_ns = clock_ns();
    c->state = CLIENT_WAITING;
    if (send(c->fd, request, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
        lose(c, clock_ns(), 0);
}

static void open_connection(struct client *c)
{
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        abort();
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->state = CLIENT_CONNECTING;
    if (connect(c->fd, (const struct sockaddr *)&c->load->target, sizeof(c->load->target)) < 0 &&
        errno != EINPROGRESS) {
        refuse(c);
        return;
    }
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void on_connected(struct client *c)
{
    int failure = 0;
    socklen_t len = sizeof(failure);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failure, &len) < 0 || failure) {
        refuse(c);
        return;
    }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    c->state = CLIENT_READY;
    if (!c->load->stopping)
        ask(c);
}

static enum outcome outcome_of(struct client *c)
{
    static const struct {
        const char *begin;
        enum outcome outcome;
    } known[] = {{"-RGUNAVAIL", OUTCOME_unavailable},
                 {"-RGUNKNOWN", OUTCOME_unknown},
                 {"-RGSTATE", OUTCOME_state},
                 {"-RGLIMIT", OUTCOME_limited}};

    if (c->line[0] == ':')
        return strcmp(c->line, ":1\r") == 0 ? OUTCOME_ok : OUTCOME_twice;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strncmp(c->line, known[i].begin, strlen(known[i].begin)) == 0)
            return known[i].outcome;
    if (c->load->told++ < TOLD_MAX)
        fprintf(stderr, "ledgerload: client %u request %u: %s\n", c->number, c->sequence, c->line);
    return OUTCOME_error;
}

static void on_reply(struct client *c, int64_t now_ns)
{
    c->line[c->line_len] = '\0';
    enum outcome outcome = outcome_of(c);
    note(c, outcome, now_ns);
    c->served = c->served || outcome == OUTCOME_ok;
    c->line_len = 0;
    c->resume_ns = now_ns + c->load->pause_ns;
    c->state = c->load->pause_ns ? CLIENT_PAUSED : CLIENT_READY;
    if (c->state == CLIENT_READY && !c->load->stopping)
        ask(c);
}

static void on_readable(struct client *c)
{
    char input[1024];
    ssize_t len = recv(c->fd, input, sizeof(input), MSG_DONTWAIT);
    int64_t now_ns = clock_ns();

    if (len < 0 && errno == EAGAIN)
        return;
    if (len <= 0) {
        lose(c, now_ns, 0);
        return;
    }
    for (ssize_t i = 0; i < len && c->state != CLIENT_CLOSED; i++) {
        if (c->state != CLIENT_WAITING) {
            fprintf(stderr, "ledgerload: client %u got bytes it did not ask for\n", c->number);
            exit(1);
        }
        if (input[i] == '\n')
            on_reply(c, now_ns);
        else if (c->line_len < sizeof(c->line) - 1)
            c->line[c->line_len++] = input[i];
    }
}

void client_on_event(struct client *c, uint32_t events)
{
    (void)events;
    if (c->state == CLIENT_CONNECTING)
        on_connected(c);
    else if (c->state != CLIENT_CLOSED)
        on_readable(c);
}

void client_tick(struct client *c, int64_t now_ns)
{
    if (now_ns < c->resume_ns || c->load->stopping)
        return;
    if (c->state == CLIENT_CLOSED)
        open_connection(c);
    else if (c->state == CLIENT_PAUSED)
        ask(c);
}

void client_init(struct client *c, struct load *load, uint32_t number)
{
    *c = (struct client){.load = load, .number = number, .fd = -1};
}

void client_finish(struct client *c)
{
    if (c->state == CLIENT_WAITING)
        note(c, OUTCOME_silent, clock_ns());
    if (c->fd >= 0)
        close(c->fd);
}
