/*
 * One client in a closed loop: it sends INCR of a key that nobody else ever uses, waits for the reply, writes down what
 * came of it and goes on with the next key. A key is never sent again, so every execution beyond the first is somebody
 * else's doing. When its connection ends it connects anew at once, as a client library would.
 *
 *   CLOSED ──connect──> CONNECTING ──> READY ──INCR──> WAITING ──reply──> PAUSED ──(pause over)──> READY
 *     ^                     │                             │                 │
 *     └── refused: 1 ms later, lost: at once ─────────────┴─────────────────┘
 *
 * Owner and thread: main.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "ledgerload/record.h"

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_READY, CLIENT_WAITING, CLIENT_PAUSED };

struct load {
    struct sockaddr_in target;
    const char *prefix; /* of every key: "PREFIX:CLIENT:SEQUENCE" */
    int64_t pause_ns;
    int epoll_fd;
    bool stopping; /* nothing new is asked */
    struct book book;
    uint64_t refused; /* connects that failed */
    unsigned told;    /* error replies already printed */
};

struct client {
    struct load *load;
    uint32_t number, sequence;
    enum client_state state;
    int fd;
    bool served;       /* had a good reply at least once */
    int64_t sent_ns;   /* of the request that is waited for */
    int64_t resume_ns; /* PAUSED, CLOSED: not before */
    char line[256];    /* the reply so far, cut */
    size_t line_len;
};

void client_init(struct client *client, struct load *load, uint32_t number);
void client_on_event(struct client *client, uint32_t events);
/* Ends pauses and connects; to be called at least every millisecond. */
void client_tick(struct client *client, int64_t now_ns);
/* Closes, and books what was still waited for as silent. */
void client_finish(struct client *client);

int64_t clock_ns(void);
