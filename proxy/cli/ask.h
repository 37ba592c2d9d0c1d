/*
 * A running respgate, asked as any client would ask it: RESPGATE STATUS over its own listener. For the subcommands that
 * wait for it and watch it. Blocking, with limits for every step.
 */
#pragma once

#include <stdbool.h>

struct conf;

/* Where it listens, and how to log in there. Strings belong to the configuration. */
struct ask_target {
    char host[256];              /* or the path of a Unix socket */
    unsigned port;               /* 0: a Unix socket */
    const char *user, *password; /* NULL: none */
};

struct ask_answer {
    bool live; /* it answered */
    bool ready;
    char backend[64]; /* "none", or the one in use */
    char reason[320]; /* why not live, or why not ready; "" when ready */
};

/* False with a message when the configuration has no listener that can be asked. */
bool ask_target_of(struct ask_target *target, const struct conf *conf, char *error, unsigned error_len);

/* `host`, or loopback for a wildcard, which is listened on but cannot be asked. */
const char *ask_host(const char *host);

void ask(const struct ask_target *target, unsigned timeout_ms, struct ask_answer *answer);
