/*
 * One connection of the load generator, in a closed loop: a batch of `pipeline` requests goes out in one write, and
 * the next batch follows when the last reply of this one was heard and checked.
 *
 *   begin > asks written > replies heard ... > last reply > begin | rest
 *
 * The fields of struct load are shared by all clients of the one thread. A client whose connection breaks, or that
 * hears anything but what it must, is closed and counts each unanswered request as an error: it never comes back, so
 * a run with errors cannot pass for a fast one.
 */
#pragma once

#include "wire.h"

#include <sys/socket.h>

enum { BUCKETS_PER_DOUBLING = 32, BUCKETS = 64 * BUCKETS_PER_DOUBLING };

/* What one window counted. Latency runs from the write of a batch to each of its replies. */
struct tally {
    uint64_t requests;
    uint64_t errors;
    int64_t latency_max_ns;
    uint64_t latency[BUCKETS];
};

struct client {
    int fd;
    unsigned number;
    char *out;
    size_t out_len;
    size_t tail_len; /* bytes of the wire's value_tail that follow `out` */
    size_t sent;
    bool busy; /* a batch is under way */
    bool waits_for_room;
    struct ask *asks;
    unsigned asked, heard;
    struct hearing hearing;
    int64_t asked_at_ns;
    uint64_t sequence;
    uint32_t random;
};

struct load {
    struct wire wire;
    struct sockaddr_storage target;
    socklen_t target_len;
    unsigned pipeline;
    int epoll_fd;
    unsigned busy; /* clients with a batch under way */
    int64_t deadline_ns;
    uint64_t asks_left;
    struct tally tally;
};

int64_t now_ns(void);

/* A connected blocking socket (each call says itself that it must not wait); ends the program when refused. */
int connect_target(const struct sockaddr_storage *target, socklen_t target_len);

void client_init(struct load *load, struct client *client, unsigned number);
void client_finish(struct client *client);
void client_begin(struct load *load, struct client *client);
void client_on_event(struct load *load, struct client *client, uint32_t events);
void client_fail(struct load *load, struct client *client, const char *why);

/* The latency below which `share` of the window's replies came. */
double tally_quantile_us(const struct tally *tally, double share);
