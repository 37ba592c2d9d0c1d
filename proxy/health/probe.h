/*
 * The checks of one backend, over a connection of its own on main's loop, with hiredis' formatter and reader: these
 * replies are few and small, and always RESP2.
 *
 *   dns ─> tcp ─> tls ─> auth ─> ping nonce ─> role ─> dataset ─> passed      (first check of a connection)
 *                                ping nonce ─> role ──────────────> passed    (later ones, while it stays open)
 *     any step ──(error, wrong answer, out of time)──> failed(step, cause, text)
 *
 * A failed check closes the connection, so the next one begins anew. While the backend is usable all of a check has
 * `timeout`; otherwise connecting may take `connect_timeout`.
 *
 * Thread and owner: main. One check at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/health/state.h"

struct backend;
struct loop;
struct probe;

enum probe_step { PROBE_DNS, PROBE_TCP, PROBE_TLS, PROBE_AUTH, PROBE_PING, PROBE_ROLE, PROBE_DATASET, PROBE_STEPS };

const char *probe_step_name(enum probe_step step); /* "tls" */

struct probe_result {
    bool passed;
    enum probe_step step;         /* the one that failed */
    enum health_cause cause;      /* CAUSE_NONE when passed */
    char text[256];               /* why, exact, without secrets; "" when passed */
    int64_t step_us[PROBE_STEPS]; /* how long each took; -1: was not needed or not reached */
    char role[16];                /* "master", "slave"; "" when the backend does not say */
};

typedef void probe_done(void *arg, const struct probe_result *result);

/* Checks nothing by itself. The backend must outlive it. */
struct probe *probe_new(struct loop *loop, struct backend *backend, probe_done *done, void *arg);
void probe_free(struct probe *probe); /* NULL is fine; never from within `done` */

/* Begins a check with so much time for all of it; `done` follows, maybe before this returns. One at a time. */
void probe_start(struct probe *probe, uint32_t timeout_ms);
bool probe_is_running(const struct probe *probe);
/* Drops a check under way without a word, and the connection. */
void probe_reset(struct probe *probe);
