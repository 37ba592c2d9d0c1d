/*
 * One page of a running respgate's stats port, for the subcommands that show it. Blocking, with a limit for every step.
 */
#pragma once

#include <stddef.h>

struct conf;

enum { FETCH_TIMEOUT_MS = 3000 };

/*
 * The body, which the caller frees, and its length; NULL with a message in `error`. Another status than 200 is an error
 * with the body's first line. `method` is "GET" or "POST".
 */
char *fetch(const struct conf *conf, const char *method, const char *path, size_t *len, char *error, size_t error_len);
