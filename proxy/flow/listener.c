#include "proxy/flow/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/net/log.h"
#include "proxy/net/unix_path.h"

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64, LOG_EVERY_MS = 10000 };

struct listener {
    struct listener *next;
    struct worker *worker;
    struct event *event;
    int fd;
    bool is_unix;
    bool owns_path;                                 /* this one unlinks the Unix socket's path */
    bool resting;                                   /* out of descriptors */
    uint64_t shortage_logged_ms, rejects_logged_ms; /* 0: never */
    uint64_t rejects;
};

static bool fail(const char *what, const char *address)
{
    log_write(LOG_ERROR, "cannot listen", LOG_TEXT("address", address), LOG_TEXT("step", what),
              LOG_TEXT("reason", strerror(errno)));
    return false;
}

static struct listener *add(struct worker *worker, int fd, bool is_unix)
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (!listener)
        end_out_of_memory(sizeof(*listener));
    listener->worker = worker;
    listener->fd = fd;
    listener->is_unix = is_unix;
    listener->next = worker->listeners;
    worker->listeners = listener;
    return listener;
}

/* "host:port", "[v6]:port" or ":port". */
static struct addrinfo *parse_address(const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    const char *colon = strrchr(address, ':');
    char host[256];

    if (!colon || (size_t)(colon - address) >= sizeof(host))
        return NULL;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    size_t len = strlen(host);
    if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
        memmove(host, host + 1, len - 2);
        host[len - 2] = 0;
    }
    return getaddrinfo(host[0] ? host : NULL, colon + 1, &hints, &found) ? NULL : found;
}

static int tcp_socket(const struct addrinfo *info, bool shared)
{
    int one = 1, fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    /* Accepted sockets inherit these, which saves two system calls per connection. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (!bind(fd, info->ai_addr, info->ai_addrlen) && !listen(fd, BACKLOG))
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

bool listener_open_tcp(struct worker *worker, const char *address)
{
    struct addrinfo *info = parse_address(address);
    bool shared = worker->crew->count > 1;
    int fd;

    if (!info) {
        errno = EADDRNOTAVAIL;
        return fail("address", address);
    }
    /* SO_REUSEPORT would silently share the port with another process: the first one asks without it. */
    if (shared && worker->index == 0) {
        fd = tcp_socket(info, false);
        if (fd >= 0)
            close(fd);
    }
    fd = shared && worker->index == 0 && fd < 0 ? -1 : tcp_socket(info, shared);
    freeaddrinfo(info);
    if (fd < 0)
        return fail("bind", address);
    return add(worker, fd, false);
}

bool listener_open_unix(struct worker *worker, const char *path, unsigned mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return fail("address", path);
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail("socket", path);
    unix_path_clear(&address);
    /* The mode is right before anybody can connect. */
    mode_t mask = umask(0777);
    bool bound = !bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (!bound || chmod(path, mode) || listen(fd, BACKLOG)) {
        fail("bind", path);
        close(fd);
        return false;
    }
    add(worker, fd, true)->owns_path = true;
    return true;
}

bool listener_share_unix(struct worker *worker, const struct worker *owner)
{
    const struct listener *bound = owner->listeners;

    while (bound && !bound->is_unix)
        bound = bound->next;
    int fd = bound ? fcntl(bound->fd, F_DUPFD_CLOEXEC, 0) : -1;
    return fd >= 0 && add(worker, fd, true);
}

static bool may_log(const struct listener *listener, uint64_t *logged_ms)
{
    uint64_t now_ms = loop_now_ms(&listener->worker->loop);

    if (*logged_ms && now_ms - *logged_ms < LOG_EVERY_MS)
        return false;
    *logged_ms = now_ms;
    return true;
}

static void reject(struct listener *listener, int fd)
{
    uint8_t bytes[64];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    reply_error(&w, reply_text_max_clients);
    ssize_t n = send(fd, bytes, w.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
    close(fd);
    count(listener->worker, clients_rejected);
    listener->rejects++;
    if (!may_log(listener, &listener->rejects_logged_ms))
        return;
    log_write(LOG_WARN, "clients rejected", LOG_TEXT("reason", "max_clients are connected"),
              LOG_NUM("max_clients", listener->worker->settings->max_clients), LOG_NUM("rejected", listener->rejects));
    listener->rejects = 0;
}

static void take(struct listener *listener, int fd)
{
    struct crew *crew = listener->worker->crew;

    if (atomic_fetch_add(&crew->clients, 1) < listener->worker->settings->max_clients) {
        client_accept(listener->worker, fd, listener->is_unix);
        return;
    }
    atomic_fetch_sub(&crew->clients, 1);
    reject(listener, fd);
}

static void rest(struct listener *listener)
{
    int why = errno;

    event_del(listener->event);
    listener->resting = true;
    if (may_log(listener, &listener->shortage_logged_ms))
        log_write(LOG_ERROR, "cannot accept", LOG_TEXT("reason", strerror(why)));
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            take(listener, client);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void describe(const struct listener *listener, char *text, size_t len)
{
    struct sockaddr_storage address;
    socklen_t address_len = sizeof(address);
    char host[128], port[16];

    snprintf(text, len, "%s", "?");
    if (listener->is_unix)
        snprintf(text, len, "%s", listener->worker->settings->unix_socket);
    else if (!getsockname(listener->fd, (struct sockaddr *)&address, &address_len) &&
             !getnameinfo((struct sockaddr *)&address, address_len, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(text, len, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

void listeners_start(struct worker *worker)
{
    char text[160];

    for (struct listener *listener = worker->listeners; listener; listener = listener->next) {
        listener->event = event_new(worker->loop.base, listener->fd, EV_READ | EV_PERSIST, on_acceptable, listener);
        event_add(listener->event, NULL);
        describe(listener, text, sizeof(text));
        if (worker->index == 0)
            log_write(LOG_INFO, "listening", LOG_TEXT("address", text));
    }
}

void listeners_close(struct worker *worker)
{
    while (worker->listeners) {
        struct listener *listener = worker->listeners;
        worker->listeners = listener->next;
        if (listener->event)
            event_free(listener->event);
        if (listener->owns_path)
            unlink(worker->settings->unix_socket);
        close(listener->fd);
        free(listener);
    }
}

void listeners_wake(struct worker *worker)
{
    for (struct listener *listener = worker->listeners; listener; listener = listener->next) {
        if (!listener->resting)
            continue;
        listener->resting = false;
        event_add(listener->event, NULL);
    }
}
