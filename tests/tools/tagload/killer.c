#include "tagload/killer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tagload/frame.h"

enum { READ_SIZE = 65536 };

static void say(struct killer *k, const char *line)
{
    size_t len = strlen(line);

    if (send(k->fd, line, len, MSG_NOSIGNAL) != (ssize_t)len) {
        fprintf(stderr, "killer: %s\n", strerror(errno));
        exit(2);
    }
    k->busy = true;
}

/* The id of one line of CLIENT LIST, "id=7 addr=...", picked at random; our own is among them and survives by SKIPME.
 */
static unsigned long random_id(struct killer *k, const char *list, const char *end)
{
    unsigned long id = 0;
    uint32_t seen = 0;

    for (const char *p = list; p && p < end; p = memmem(p, (size_t)(end - p), "\nid=", 4)) {
        p = strstr(p, "id=");
        if (rng_below(&k->rng, ++seen) == 0)
            id = strtoul(p + 3, NULL, 10);
    }
    return id;
}

static void on_reply(struct killer *k, size_t len)
{
    const char *reply = (const char *)bytes_front(&k->in);
    char line[64];

    k->busy = false;
    if (k->asked_list) {
        k->asked_list = false;
        snprintf(line, sizeof(line), "CLIENT KILL ID %lu SKIPME yes\r\n", random_id(k, reply, reply + len));
        say(k, line);
        k->load->counters.kills++;
    } else if (reply[0] == ':') {
        k->load->counters.killed += strtoul(reply + 1, NULL, 10);
    }
}

static void on_event(struct source *source, uint32_t events)
{
    struct killer *k = (struct killer *)source;
    ssize_t got = recv(k->fd, bytes_room(&k->in, READ_SIZE, 0), READ_SIZE - 1, MSG_DONTWAIT);
    long len;

    (void)events;
    if (got <= 0) {
        fprintf(stderr, "killer: the backend closed its connection\n");
        exit(2);
    }
    k->in.end += (size_t)got;
    k->in.data[k->in.end] = '\0';
    while ((len = frame_len(bytes_front(&k->in), bytes_len(&k->in))) > 0) {
        on_reply(k, (size_t)len);
        k->in.start += (size_t)len;
    }
}

void killer_tick(struct killer *k)
{
    static const char *const victims[] = {"CLIENT KILL TYPE normal SKIPME yes\r\n",
                                          "CLIENT KILL TYPE pubsub SKIPME yes\r\n", "CLIENT LIST\r\n"};
    uint32_t pick;

    if (k->busy || k->load->now_ms < k->next_ms)
        return;
    k->next_ms = k->load->now_ms + k->load->options.kill_interval_ms;
    pick = rng_below(&k->rng, 4);
    k->asked_list = pick >= 2;
    if (!k->asked_list)
        k->load->counters.kills++;
    say(k, victims[pick < 2 ? pick : 2]);
}

struct killer *killer_new(struct load *load)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load->options.backend_port)};
    struct killer *k = calloc(1, sizeof(*k));

    if (!k)
        abort();
    *k = (struct killer){.source = {on_event}, .load = load, .rng = {load->options.seed ^ 0x6b696c6cu}};
    k->next_ms = load->now_ms + load->options.kill_interval_ms;
    inet_pton(AF_INET, load->options.backend_host, &to.sin_addr);
    k->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (k->fd < 0 || connect(k->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        fprintf(stderr, "killer: cannot reach the backend: %s\n", strerror(errno));
        killer_free(k);
        return NULL;
    }
    load_watch(load, k->fd, &k->source, EPOLLIN, true);
    return k;
}

void killer_free(struct killer *k)
{
    if (k->fd >= 0)
        close(k->fd);
    bytes_free(&k->in);
    free(k);
}
