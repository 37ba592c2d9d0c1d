#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static char input[65536];

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int connect_target(const struct sockaddr_storage *target, socklen_t target_len)
{
    int fd = socket(target->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)target, target_len) < 0) {
        perror("bench_load: connect");
        exit(1);
    }
    if (target->ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* Buckets grow by 1/32 of a doubling: a quantile is within 3% of the truth. */
static unsigned bucket_of(int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    if (value < BUCKETS_PER_DOUBLING)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - 5;
    return (shift + 1) * BUCKETS_PER_DOUBLING + (unsigned)((value >> shift) % BUCKETS_PER_DOUBLING);
}

static double bucket_us(unsigned bucket)
{
    if (bucket < BUCKETS_PER_DOUBLING)
        return bucket / 1000.0;
    unsigned shift = bucket / BUCKETS_PER_DOUBLING - 1;
    uint64_t low = (uint64_t)(BUCKETS_PER_DOUBLING + bucket % BUCKETS_PER_DOUBLING) << shift;
    return (double)low / 1000.0;
}

static void tally_reply(struct tally *tally, int64_t latency_ns)
{
    tally->requests++;
    tally->latency[bucket_of(latency_ns)]++;
    if (latency_ns > tally->latency_max_ns)
        tally->latency_max_ns = latency_ns;
}

double tally_quantile_us(const struct tally *tally, double share)
{
    uint64_t wanted = (uint64_t)((double)tally->requests * share), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += tally->latency[bucket];
        if (seen > wanted)
            return bucket_us(bucket);
    }
    return (double)tally->latency_max_ns / 1000.0;
}

static void watch(struct load *load, struct client *client, int operation)
{
    uint32_t events = EPOLLIN | (client->waits_for_room ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(load->epoll_fd, operation, client->fd, &event) < 0) {
        perror("bench_load: epoll_ctl");
        exit(1);
    }
}

static void open_connection(struct load *load, struct client *client)
{
    client->fd = connect_target(&load->target, load->target_len);
    client->waits_for_room = false;
    watch(load, client, EPOLL_CTL_ADD);
}

static void close_connection(struct client *client)
{
    close(client->fd);
    client->fd = -1;
}

void client_init(struct load *load, struct client *client, unsigned number)
{
    memset(client, 0, sizeof(*client));
    client->fd = -1;
    client->number = number;
    client->random = 0x9e3779b9u * (number + 1);
    client->out = malloc(wire_ask_max(&load->wire) * load->pipeline);
    client->asks = calloc(load->pipeline, sizeof(*client->asks));
    if (!client->out || !client->asks)
        abort();
    if (load->wire.workload != WORK_CONNECT)
        open_connection(load, client);
}

void client_finish(struct client *client)
{
    if (client->fd >= 0)
        close_connection(client);
    free(client->out);
    free(client->asks);
}

static void rest(struct load *load, struct client *client)
{
    load->busy -= client->busy;
    client->busy = false;
}

void client_fail(struct load *load, struct client *client, const char *why)
{
    if (load->tally.errors == 0)
        fprintf(stderr, "bench_load: client %u: %s\n", client->number, why);
    load->tally.errors += client->asked > client->heard ? client->asked - client->heard : 1;
    close_connection(client);
    rest(load, client);
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void write_batch(struct load *load, struct client *client)
{
    client->out_len = client->tail_len = client->sent = 0;
    for (unsigned i = 0; i < client->asked; i++) {
        struct ask ask = wire_choose(&load->wire, client->sequence++, next_random(&client->random));
        client->asks[i] = ask;
        client->out_len += wire_ask(&load->wire, ask, client->out + client->out_len);
        if (wire_has_tail(&load->wire, ask))
            client->tail_len = load->wire.value_tail_len;
    }
}

static ssize_t send_rest(const struct load *load, const struct client *client)
{
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    size_t tail_sent = 0;

    if (client->tail_len == 0)
        return send(client->fd, client->out + client->sent, client->out_len - client->sent,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    if (client->sent < client->out_len)
        parts[message.msg_iovlen++] = (struct iovec){client->out + client->sent, client->out_len - client->sent};
    else
        tail_sent = client->sent - client->out_len;
    parts[message.msg_iovlen++] = (struct iovec){load->wire.value_tail + tail_sent, client->tail_len - tail_sent};
    return sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void client_send(struct load *load, struct client *client)
{
    size_t total = client->out_len + client->tail_len;
    while (client->sent < total) {
        ssize_t sent = send_rest(load, client);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            client_fail(load, client, strerror(errno));
            return;
        }
        client->sent += (size_t)sent;
    }
    bool waits_for_room = client->sent < total;
    if (waits_for_room != client->waits_for_room) {
        client->waits_for_room = waits_for_room;
        watch(load, client, EPOLL_CTL_MOD);
    }
}

/* Starts the next batch, or rests when the window is over: then its connections are idle and all its work is done. */
static void begin_at(struct load *load, struct client *client, int64_t now)
{
    if (now >= load->deadline_ns || load->asks_left == 0) {
        rest(load, client);
        return;
    }
    client->asked = load->asks_left < load->pipeline ? (unsigned)load->asks_left : load->pipeline;
    client->heard = 0;
    load->asks_left -= client->asked;
    client->asked_at_ns = now;
    if (client->fd < 0)
        open_connection(load, client);
    write_batch(load, client);
    client_send(load, client);
}

void client_begin(struct load *load, struct client *client)
{
    load->busy++;
    client->busy = true;
    begin_at(load, client, now_ns());
}

static void client_hear(struct load *load, struct client *client, const char *bytes, size_t len)
{
    int64_t now = now_ns();

    while (client->heard < client->asked) {
        size_t used;
        enum heard heard = wire_hear(&load->wire, client->asks[client->heard], &client->hearing, bytes, len, &used);
        if (heard == HEARD_MORE)
            return;
        if (heard == HEARD_WRONG) {
            client_fail(load, client, "a reply that does not belong to its request");
            return;
        }
        if (heard == HEARD_ERROR_REPLY && load->tally.errors++ == 0)
            fprintf(stderr, "bench_load: client %u: %.*s", client->number, (int)used, bytes);
        memset(&client->hearing, 0, sizeof(client->hearing));
        client->heard++;
        tally_reply(&load->tally, now - client->asked_at_ns);
        bytes += used;
        len -= used;
    }
    if (len > 0) {
        client_fail(load, client, "bytes after the last reply");
        return;
    }
    if (load->wire.workload == WORK_CONNECT)
        close_connection(client);
    begin_at(load, client, now);
}

void client_on_event(struct load *load, struct client *client, uint32_t events)
{
    if (client->fd >= 0 && (events & EPOLLOUT))
        client_send(load, client);
    if (client->fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t len = recv(client->fd, input, sizeof(input), MSG_DONTWAIT);
    if (len > 0)
        client_hear(load, client, input, (size_t)len);
    else if (len == 0)
        client_fail(load, client, "closed by the other side");
    else if (errno != EAGAIN)
        client_fail(load, client, strerror(errno));
}
