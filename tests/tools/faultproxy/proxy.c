#include "faultproxy/proxy.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINKS_MAX = 1000, POLLED_BEFORE = 2, BACKLOG = 512 };

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int new_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        abort();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return fd;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void listen_again(struct proxy *proxy)
{
    socklen_t len = sizeof(proxy->address);

    if (proxy->listen_fd >= 0)
        return;
    proxy->listen_fd = new_socket();
    if (bind(proxy->listen_fd, (struct sockaddr *)&proxy->address, len) < 0 || listen(proxy->listen_fd, BACKLOG) < 0 ||
        getsockname(proxy->listen_fd, (struct sockaddr *)&proxy->address, &len) < 0)
        die("faultproxy: listen");
}

void proxy_init(struct proxy *proxy, const struct sockaddr_in *target, uint64_t seed)
{
    *proxy = (struct proxy){.target = *target, .listen_fd = -1, .rng = {seed}};
    LIST_INIT(&proxy->links);
    proxy->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    listen_again(proxy);
}

static void reset_on_close(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void link_free(struct link *link)
{
    LIST_REMOVE(link, entry);
    pipe_free(&link->requests);
    pipe_free(&link->replies);
    close(link->client_fd);
    close(link->backend_fd);
    free(link);
}

static void link_reset(struct proxy *proxy, struct link *link)
{
    proxy->resets++;
    reset_on_close(link->client_fd);
    reset_on_close(link->backend_fd);
    link_free(link);
}

static void reset_all(struct proxy *proxy)
{
    while (!LIST_EMPTY(&proxy->links))
        link_reset(proxy, LIST_FIRST(&proxy->links));
}

void proxy_free(struct proxy *proxy)
{
    reset_all(proxy);
    if (proxy->listen_fd >= 0)
        close(proxy->listen_fd);
}

static void accept_one(struct proxy *proxy)
{
    int client_fd = accept4(proxy->listen_fd, NULL, NULL, SOCK_CLOEXEC), on = 1;

    if (client_fd < 0)
        return;
    struct link *link = calloc(1, sizeof(*link));
    int backend_fd = new_socket();
    if (!link)
        abort();
    setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *link = (struct link){.client_fd = client_fd, .backend_fd = backend_fd};
    pipe_init(&link->requests, client_fd, backend_fd);
    pipe_init(&link->replies, backend_fd, client_fd);
    LIST_INSERT_HEAD(&proxy->links, link, entry);
    proxy->accepted++;
    /* The backend is on this machine: its kernel answers at once, were the process stopped. */
    if (connect(backend_fd, (struct sockaddr *)&proxy->target, sizeof(proxy->target)) < 0)
        link_reset(proxy, link);
}

static struct pollfd poll_of(int fd, const struct pipe *in, const struct pipe *out, int64_t now_ns)
{
    struct pollfd polled = {.fd = fd};

    if (pipe_wants_input(in))
        polled.events |= POLLIN;
    if (pipe_due_ns(out) <= now_ns)
        polled.events |= POLLOUT;
    if (!polled.events)
        polled.fd = -1; /* else its hang-up would wake us in vain */
    return polled;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* False when the link is over. */
static bool move_bytes(struct proxy *proxy, struct link *link, short client, short backend, int64_t now_ns)
{
    const struct delay none = {0};
    const short readable = POLLIN | POLLERR | POLLHUP;
    long requests = 0, replies = 0, written = 0;

    if (client & readable)
        requests = pipe_read(&link->requests, &none, &proxy->rng, now_ns);
    if (backend & readable)
        replies = pipe_read(&link->replies, &proxy->delay, &proxy->rng, now_ns);
    if (requests < 0 || replies < 0)
        return false;
    proxy->request_bytes += (uint64_t)requests;
    proxy->reply_bytes += (uint64_t)replies;
    written = pipe_write(&link->requests, proxy->slice, now_ns);
    if (written >= 0)
        written = pipe_write(&link->replies, proxy->slice, now_ns);
    return written >= 0;
}

/* Fills `polled` and gives the number of entries; *wake_ns is when held bytes become due. */
static nfds_t poll_all(struct proxy *proxy, struct pollfd *polled, int64_t now_ns, int64_t *wake_ns)
{
    nfds_t n = POLLED_BEFORE;

    *wake_ns = INT64_MAX;
    polled[1] = (struct pollfd){.fd = proxy->dropping ? -1 : proxy->listen_fd, .events = POLLIN};
    if (proxy->dropping)
        return n;
    for (const struct link *link = LIST_FIRST(&proxy->links); link; link = LIST_NEXT(link, entry)) {
        if (n + 2 > POLLED_BEFORE + 2 * LINKS_MAX)
            die("faultproxy: too many links");
        polled[n++] = poll_of(link->client_fd, &link->requests, &link->replies, now_ns);
        polled[n++] = poll_of(link->backend_fd, &link->replies, &link->requests, now_ns);
        *wake_ns = earlier(*wake_ns, earlier(pipe_due_ns(&link->requests), pipe_due_ns(&link->replies)));
    }
    return n;
}

static void serve(struct proxy *proxy, const struct pollfd *polled)
{
    int64_t now_ns = clock_ns();
    struct link *next;

    for (struct link *link = LIST_FIRST(&proxy->links); link; link = next, polled += 2) {
        next = LIST_NEXT(link, entry);
        if (!move_bytes(proxy, link, polled[0].revents, polled[1].revents, now_ns))
            link_reset(proxy, link);
        else if (link->requests.shut && link->replies.shut)
            link_free(link);
    }
}

bool proxy_turn(struct proxy *proxy, int stdin_fd)
{
    static struct pollfd polled[POLLED_BEFORE + 2 * LINKS_MAX];
    int64_t now_ns = clock_ns(), wake_ns;
    nfds_t n = poll_all(proxy, polled, now_ns, &wake_ns);
    struct timespec wait = {0};

    polled[0] = (struct pollfd){.fd = stdin_fd, .events = POLLIN};
    if (wake_ns > now_ns && wake_ns != INT64_MAX)
        wait = (struct timespec){(wake_ns - now_ns) / 1000000000, (wake_ns - now_ns) % 1000000000};
    /* Bytes that are due wait for room, which POLLOUT tells. */
    if (ppoll(polled, n, wake_ns > now_ns && wake_ns != INT64_MAX ? &wait : NULL, NULL) < 0 && errno != EINTR)
        die("faultproxy: poll");
    if (!proxy->dropping)
        serve(proxy, polled + POLLED_BEFORE);
    if (polled[1].revents & POLLIN)
        accept_one(proxy);
    return polled[0].revents != 0;
}

static void stop_listening(struct proxy *proxy)
{
    if (proxy->listen_fd >= 0)
        close(proxy->listen_fd);
    proxy->listen_fd = -1;
}

static void end_replies(struct proxy *proxy)
{
    for (const struct link *link = LIST_FIRST(&proxy->links); link; link = LIST_NEXT(link, entry))
        shutdown(link->client_fd, SHUT_WR);
}

static void pass(struct proxy *proxy)
{
    proxy->delay = (struct delay){0};
    proxy->slice = 0;
    proxy->dropping = false;
    listen_again(proxy);
}

static void counts(const struct proxy *proxy, FILE *out)
{
    unsigned links = 0;

    for (const struct link *link = LIST_FIRST(&proxy->links); link; link = LIST_NEXT(link, entry))
        links++;
    fprintf(out,
            "{\"links\": %u, \"accepted\": %llu, \"resets\": %llu, \"request_bytes\": %llu, \"reply_bytes\": %llu}\n",
            links, (unsigned long long)proxy->accepted, (unsigned long long)proxy->resets,
            (unsigned long long)proxy->request_bytes, (unsigned long long)proxy->reply_bytes);
}

/* Those with numbers; false when the line is none of them. */
static bool set_fault(struct proxy *proxy, const char *line)
{
    unsigned first = 0, second = 0;

    if (sscanf(line, "latency %u %u", &first, &second) >= 1)
        proxy->delay = (struct delay){(int64_t)first * 1000000, (int64_t)second * 1000000};
    else if (sscanf(line, "slice %u", &first) == 1)
        proxy->slice = first;
    else
        return false;
    return true;
}

void proxy_command(struct proxy *proxy, const char *line, FILE *out)
{
    bool known = true;

    if (strcmp(line, "counts") == 0) {
        counts(proxy, out);
        return;
    }
    if (strcmp(line, "pass") == 0)
        pass(proxy);
    else if (strcmp(line, "drop") == 0)
        proxy->dropping = true;
    else if (strcmp(line, "refuse") == 0)
        stop_listening(proxy);
    else if (strcmp(line, "reset") == 0)
        reset_all(proxy);
    else if (strcmp(line, "half-close") == 0)
        end_replies(proxy);
    else
        known = set_fault(proxy, line);
    fputs(known ? "ok\n" : "what?\n", out);
}
