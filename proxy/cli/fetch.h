/*
 * One page of a running respgate's stats port, for the subcommands that show it. Blocking, with a limit for every step.
 *
 * The port may be another one's: who finds the default port taken runs without. So each answer says where its respgate
 * listens for clients (HTTP_IDENTITY), and one that does not listen where our configuration says is not taken.
 */
#pragma once

#include <stddef.h>

#include "proxy/cli/cli.h"

struct conf;

enum { FETCH_TIMEOUT_MS = 3000, FETCH_ERROR_LEN = 768 };

struct fetched {
    char *body; /* the caller frees it; NULL: none came, and `error` says why */
    size_t len;
    enum exit_code code;
    char error[FETCH_ERROR_LEN];
};

/* Another status than 200 is an error with the body's first line. `method` is "GET" or "POST". */
void fetch(const struct conf *conf, const char *method, const char *path, struct fetched *fetched);
