/*
 * The proxy: a listener, the links between clients and the backend, and the fault that is on now. One thread; main.c
 * owns it and hands commands to proxy_command().
 *
 *   client <──replies── link <──replies── backend      latency and jitter delay replies only, so that a round trip
 *          ──requests─>      ──requests─>              costs exactly so much more; slices cut both directions
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include "faultproxy/pipe.h"

struct link {
    LIST_ENTRY(link) entry;
    int client_fd, backend_fd;
    struct pipe requests, replies;
};

struct proxy {
    struct sockaddr_in target, address;
    int listen_fd; /* -1 while connects are refused */
    LIST_HEAD(links, link) links;
    struct rng rng;
    struct delay delay; /* of replies */
    size_t slice;       /* 0: bytes go as they come */
    bool dropping;      /* nothing is read, written or accepted, and nobody is told */
    uint64_t accepted, resets;
    uint64_t request_bytes, reply_bytes; /* that came */
};

void proxy_init(struct proxy *proxy, const struct sockaddr_in *target, uint64_t seed);
void proxy_free(struct proxy *proxy);

/* Waits for sockets, for held bytes to become due and for `stdin_fd`; true when that has input. */
bool proxy_turn(struct proxy *proxy, int stdin_fd);

/* One line, answered by one line on `out`: "ok", counts, or "what?". */
void proxy_command(struct proxy *proxy, const char *line, FILE *out);
