/*
 * Requests that took longer than stats.slowlog: whose, what, on which key, and how much of the time went by before the
 * backend could be asked. Blocking commands are left out: waiting is what they are for.
 *
 * Command and key are known of a request that was alone when its client sent it (the first bytes of the key are kept
 * with the client); of those that follow in a pipeline they are not, and left empty.
 *
 * Owner: its worker, which alone writes; any thread may print. A lock guards the ring for that moment, which on the
 * data path comes with slow requests only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct client;
struct crew;
struct lane;
struct request;
struct slowlog;

enum { SLOWLOG_KEPT = 64 };

struct slowlog *slowlog_new(void); /* NULL: no memory */
void slowlog_free(struct slowlog *log);

/* `outcome` is a literal: "replied", "timeout". */
void slowlog_note(const struct client *client, const struct lane *lane, const struct request *request,
                  const char *outcome);

/* One JSON object for each entry of all workers, the oldest of each first; `end` ends a line. */
void slowlog_print(const struct crew *crew, FILE *out, const char *end);
