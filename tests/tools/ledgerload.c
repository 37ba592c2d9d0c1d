/*
 * ledgerload HOST PORT CONNECTIONS SECONDS PREFIX: writes that can be counted afterwards.
 *
 * Each connection has one request outstanding: INCR PREFIX:<connection>:<sequence>, each key once. So a key's value on
 * a server says how often that request ran there. For every request one line on standard output tells what the client
 * was told, with CLOCK_MONOTONIC microseconds of sending and of the answer:
 *
 *   <connection> <sequence> <sent_us> <done_us> ok|unavailable|unknown|state|error|lost
 *
 * A connection that ends is made anew at once; `refused` lines (sequence 0) are attempts to connect that failed. Ends
 * by itself after SECONDS, or when standard input is closed; replies that are still due then have DRAIN_US. Libc only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 256, RETRY_US = 2000, DRAIN_US = 5000000 };

struct connection {
    int fd; /* -1: not connected */
    uint64_t sequence, sent_us, retry_us;
    bool waiting;
    size_t len;
    char reply[512];
};

static struct sockaddr_in address;
static const char *prefix;

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void tell(unsigned i, uint64_t sequence, uint64_t sent_us, const char *outcome)
{
    printf("%u %llu %llu %llu %s\n", i, (unsigned long long)sequence, (unsigned long long)sent_us,
           (unsigned long long)now_us(), outcome);
}

static void drop(struct connection *c, unsigned i)
{
    if (c->waiting)
        tell(i, c->sequence, c->sent_us, "lost");
    c->waiting = false;
    close(c->fd);
    c->fd = -1;
    c->retry_us = 0;
}

static void connect_again(struct connection *c, unsigned i)
{
    int one = 1;

    if (now_us() < c->retry_us)
        return;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof(address))) {
        tell(i, 0, now_us(), "refused");
        close(c->fd);
        c->fd = -1;
        c->retry_us = now_us() + RETRY_US;
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->len = 0;
}

static void send_next(struct connection *c, unsigned i)
{
    char key[96], command[160];
    int key_len = snprintf(key, sizeof(key), "%s:%u:%llu", prefix, i, (unsigned long long)++c->sequence);
    int len = snprintf(command, sizeof(command), "*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n", key_len, key);

    c->waiting = true;
    c->sent_us = now_us();
    if (send(c->fd, command, (size_t)len, MSG_NOSIGNAL) != len)
        drop(c, i);
}

static const char *outcome_of(const char *reply)
{
    static const struct {
        const char *start, *outcome;
    } known[] = {{":1\r", "ok"}, {"-RGUNAVAIL", "unavailable"}, {"-RGUNKNOWN", "unknown"}, {"-RGSTATE", "state"}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strncmp(reply, known[i].start, strlen(known[i].start)))
            return known[i].outcome;
    return "error";
}

static void on_readable(struct connection *c, unsigned i)
{
    ssize_t n = recv(c->fd, c->reply + c->len, sizeof(c->reply) - 1 - c->len, 0);

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(c, i);
        return;
    }
    c->len += (size_t)n;
    c->reply[c->len] = 0;
    if (!c->waiting || !strchr(c->reply, '\n'))
        return;
    tell(i, c->sequence, c->sent_us, outcome_of(c->reply));
    c->waiting = false;
    c->len = 0;
}

static void turn(struct connection *connections, unsigned n, bool asks)
{
    struct pollfd polled[MOST_CONNECTIONS + 1];

    for (unsigned i = 0; i < n; i++) {
        struct connection *c = &connections[i];
        if (asks && c->fd < 0)
            connect_again(c, i);
        if (asks && c->fd >= 0 && !c->waiting)
            send_next(c, i);
        polled[i] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    }
    poll(polled, n, 1);
    for (unsigned i = 0; i < n; i++)
        if (connections[i].fd >= 0 && polled[i].revents)
            on_readable(&connections[i], i);
}

static bool is_over(uint64_t until_us)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    return now_us() >= until_us || poll(&input, 1, 0) == 1;
}

static bool any_waits(const struct connection *connections, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (connections[i].waiting)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    static struct connection connections[MOST_CONNECTIONS];
    unsigned n = argc == 6 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;

    if (!n || n > MOST_CONNECTIONS) {
        fprintf(stderr, "usage: ledgerload HOST PORT CONNECTIONS SECONDS PREFIX, at most %d connections\n",
                MOST_CONNECTIONS);
        return 64;
    }
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    prefix = argv[5];
    uint64_t until_us = now_us() + strtoull(argv[4], NULL, 10) * 1000000;
    for (unsigned i = 0; i < n; i++)
        connections[i].fd = -1;
    while (!is_over(until_us))
        turn(connections, n, true);
    until_us = now_us() + DRAIN_US;
    while (any_waits(connections, n) && now_us() < until_us)
        turn(connections, n, false);
    for (unsigned i = 0; i < n; i++)
        if (connections[i].fd >= 0)
            drop(&connections[i], i);
    return 0;
}
