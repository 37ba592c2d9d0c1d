#include "proxy/watch/door.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "conf/address.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/net/unix_path.h"

enum { CONNECTIONS_MAX = 64, LOOK_AGAIN_MS = 50, OVERSTAY_S = 5, BACKLOG = 128, UNREAD_MAX = 1 << 16 };

struct visitor {
    struct bufferevent *connection;
    time_t since_s;
};

struct door {
    struct evhttp *server;
    struct event_base *base;
    struct evconnlistener *listener;
    struct visitor visitors[CONNECTIONS_MAX]; /* who came first stands first */
    unsigned n;
    struct event *look_again;
    char *path; /* of the Unix socket, unlinked at the end; NULL: TCP */
};

static bool is_freed(struct bufferevent *connection)
{
    bufferevent_event_cb on_event;

    bufferevent_getcb(connection, NULL, NULL, &on_event, NULL);
    return !on_event;
}

static void forget_freed(struct door *door)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < door->n; i++) {
        if (is_freed(door->visitors[i].connection))
            bufferevent_decref(door->visitors[i].connection);
        else
            door->visitors[kept++] = door->visitors[i];
    }
    door->n = kept;
}

static time_t now_s(void)
{
    return clock_now_us() / 1000000;
}

/* A byte now and then is enough not to time out. For evhttp, which frees it, the longest there has timed out now. */
static void show_out(struct door *door)
{
    struct visitor *first = &door->visitors[0];

    if (now_s() - first->since_s > OVERSTAY_S)
        bufferevent_trigger_event(first->connection, BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
    forget_freed(door);
}

static void wait_for_room(struct door *door)
{
    struct timeval in = {.tv_usec = LOOK_AGAIN_MS * 1000};

    evconnlistener_disable(door->listener);
    event_add(door->look_again, &in);
}

static void on_look_again(evutil_socket_t fd, short what, void *arg)
{
    struct door *door = arg;

    (void)fd, (void)what;
    forget_freed(door);
    if (door->n == CONNECTIONS_MAX)
        show_out(door);
    if (door->n == CONNECTIONS_MAX)
        wait_for_room(door);
    else
        evconnlistener_enable(door->listener);
}

/* evhttp asks for the bufferevent of a connection it has accepted. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct door *door = arg;
    struct bufferevent *connection = bufferevent_socket_new(base, -1, 0);

    if (!connection)
        return NULL;
    /* While it answers, evhttp goes on reading, to see the connection end. */
    bufferevent_setwatermark(connection, EV_READ, 0, UNREAD_MAX);
    forget_freed(door);
    if (door->n == CONNECTIONS_MAX) /* several were accepted at once, before the listener was stopped */
        return connection;
    bufferevent_incref(connection);
    door->visitors[door->n++] = (struct visitor){.connection = connection, .since_s = now_s()};
    if (door->n == CONNECTIONS_MAX)
        wait_for_room(door);
    return connection;
}

static struct door *fail(struct evhttp *server, const char *address, const char *reason)
{
    log_write(LOG_ERROR, "no stats port", LOG_TEXT("address", address), LOG_TEXT("reason", reason));
    if (server)
        evhttp_free(server);
    return NULL;
}

static struct door *open_door(struct evhttp *server, struct event_base *base, struct evhttp_bound_socket *bound)
{
    struct door *door = calloc(1, sizeof(*door));

    if (door)
        door->look_again = event_new(base, -1, 0, on_look_again, door);
    if (!door || !door->look_again) {
        free(door);
        return NULL;
    }
    door->server = server;
    door->base = base;
    door->listener = evhttp_bound_socket_get_listener(bound);
    evhttp_set_bevcb(server, on_connection, door);
    return door;
}

struct door *door_open_tcp(struct evhttp *server, struct event_base *base, const char *address)
{
    struct evhttp_bound_socket *bound = NULL;
    struct address parsed;
    struct door *door;

    if (!server || address_parse(address, strlen(address), &parsed))
        return fail(server, address, "address");
    errno = 0;
    bound = evhttp_bind_socket_with_handle(server, parsed.host[0] ? parsed.host : NULL, (ev_uint16_t)parsed.port);
    if (!bound)
        return fail(server, address, errno ? strerror(errno) : "the host is not an address of this machine");
    /* Inherited by what is accepted: head and body are two writes, and the second must not wait for an ACK. */
    setsockopt(evhttp_bound_socket_get_fd(bound), IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    door = open_door(server, base, bound);
    if (!door)
        return fail(server, address, "out of memory");
    log_write(LOG_INFO, "stats port", LOG_TEXT("address", address));
    return door;
}

/* A socket that only its owner may use; -1 with errno. */
static int bind_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unix_path_clear(&address);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    bool bound = fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (bound && !listen(fd, BACKLOG))
        return fd;
    int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

struct door *door_open_unix(struct evhttp *server, struct event_base *base, const char *path)
{
    int fd = server ? bind_unix(path) : -1;
    struct evhttp_bound_socket *bound;
    struct door *door;

    if (fd < 0)
        return fail(server, path, strerror(errno));
    bound = evhttp_accept_socket_with_handle(server, fd);
    door = bound ? open_door(server, base, bound) : NULL;
    if (door)
        door->path = strdup(path);
    if (!door)
        return fail(server, path, "out of memory");
    log_write(LOG_INFO, "stats port", LOG_TEXT("address", path));
    return door;
}

void door_close(struct door *door)
{
    if (!door)
        return;
    event_free(door->look_again);
    evhttp_free(door->server);
    forget_freed(door);
    if (door->path)
        unlink(door->path);
    free(door->path);
    free(door);
}
