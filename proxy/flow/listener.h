/*
 * A listening socket of a worker, TCP or Unix. Accepts in bursts. When descriptors run out it stops listening for a
 * moment instead of spinning, and says so once in a while. Thread and owner: its worker; bound by main before the
 * threads start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct worker;

/* False after logging what went wrong. */
bool listener_open_tcp(struct worker *worker, const char *address);
bool listener_open_unix(struct worker *worker, const char *path, unsigned mode);
/* The worker takes the Unix socket that `owner` has bound. */
bool listener_share_unix(struct worker *worker, const struct worker *owner);

/* Starts accepting. The worker's thread, or main before it runs. */
void listeners_start(struct worker *worker);
/* Closes the sockets of a worker. */
void listeners_close(struct worker *worker);
/* Listens again when descriptors were short: once a second, and when a client is gone. */
void listeners_wake(struct worker *worker);
