/*
 * The last five minutes, second by second, for graphs that are there when somebody first looks: what was asked, what
 * failed, how long it took, who was connected. Main's clock takes a sample each second, of limits too, which keep their
 * own.
 *
 * Thread and owner: main.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct history;
struct scene;

enum { HISTORY_KEPT = 300, HISTORY_RECENT = 10 };

struct history_sample {
    uint64_t requests, failed, clients;
    uint32_t p50_us, p99_us; /* of the replies of this second, blocking commands left out */
};

/* NULL: no memory. Takes samples until it is freed. The scene must have its loop and crew. */
struct history *history_new(const struct scene *scene);
void history_free(struct history *history); /* NULL is fine */

/* The mean of the requests and failures, the worst p50 and p99, of the last HISTORY_RECENT samples. */
struct history_sample history_recent(const struct history *history);
/* "requests":[...],"failed":[...],...: the oldest first. */
void history_write_json(const struct history *history, FILE *out);
