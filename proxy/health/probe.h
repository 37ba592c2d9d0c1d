/*
 * The checks of one backend, over a connection of its own on main's loop, with hiredis' formatter and reader: these
 * replies are few and small, and always RESP2.
 *
 *   dns ─> tcp ─> tls ─> auth ─> ping nonce ─> role ─> clock ─> dataset ─> passed   (first check of a connection)
 *                                ping nonce ─> role ─> clock ───────────> passed    (later ones, while it stays open)
 *     any step ──(error, wrong answer, out of time)──> failed(step, cause, text)
 *
 * A failed check closes the connection, so the next one begins anew. Over TLS it also does so from time to time, and
 * then resumes nothing, because the certificate is only seen in a whole handshake.
 *
 * Connecting (name, TCP, TLS) has a limit, and then each answer has its own: a limit for all of a check would depend on
 * how many questions it asks, and a distant backend would pass or fail by that.
 *
 * Without TLS a password is only sent to who has spoken RESP before: a PING goes first, and a port that speaks TLS, or
 * something else, never sees it.
 *
 * The clock is that of the backend, for the deadlines of the limiter's calls (fence.h): INFO says it in its section
 * "server", which is not the one that says the role, and where each command costs it is asked for that; elsewhere TIME
 * is less work, and answered by more. A backend that tells neither passes without. An INFO that tells both at once
 * saves the question.
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

enum probe_step {
    PROBE_DNS,
    PROBE_TCP,
    PROBE_TLS,
    PROBE_AUTH,
    PROBE_PING,
    PROBE_ROLE,
    PROBE_CLOCK,
    PROBE_DATASET,
    PROBE_STEPS
};

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

struct probe_limits {
    uint32_t connect_ms; /* for a new connection, until the first question */
    uint32_t answer_ms;  /* for each answer */
    uint32_t anew_ms;    /* a TLS connection of this age is not gone on with; 0: whatever its age */
};

/* Begins a check; `done` follows, maybe before this returns. One at a time. */
void probe_start(struct probe *probe, const struct probe_limits *limits);
bool probe_is_running(const struct probe *probe);
/* Drops a check under way without a word, and the connection. */
void probe_reset(struct probe *probe);
