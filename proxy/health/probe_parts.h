/*
 * The inside of a probe, shared by probe.c (its connection and its end) and probe_steps.c (what is asked). Main's
 * thread.
 */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/health/handshake.h"
#include "proxy/health/probe.h"
#include "proxy/net/conn.h"

struct event;

enum { PROBE_ARRAY_MAX = 16 };

struct probe {
    struct conn conn;
    struct loop *loop;
    struct backend *backend;
    probe_done *done;
    void *arg;
    struct redisReader *reader;
    redisReplyObjectFunctions functions; /* the reader's own, but for arrays */
#if HIREDIS_MAJOR >= 1
    void *(*create_array)(const redisReadTask *, size_t);
#else
    void *(*create_array)(const redisReadTask *, int);
#endif
    struct event *limit, *attempt, *name_wait;
    bool running;
    enum probe_step step;
    size_t address;  /* which of the backend's the next attempt takes */
    size_t attempts; /* addresses tried within this check */
    size_t received; /* bytes of replies within this check */
    struct probe_limits limits;
    uint32_t limit_ms; /* of what is under way: connecting, or one answer */
    int64_t limit_us;  /* when that ends */
    int64_t began_us;
    int64_t connected_us; /* when this connection was made */
    int64_t step_began_us;
    char nonce[NONCE_ROOM];
    bool afresh;      /* connecting resumes no TLS session */
    bool named;       /* CLIENT SETNAME was sent, its reply is still to come */
    bool selecting;   /* SELECT was sent, its reply is still to come */
    bool greeting;    /* a PING without AUTH was sent, its reply is still to come */
    bool clockless;   /* it did not tell its clock: not asked again on this connection */
    bool clock_known; /* within this check */
    struct probe_result result;
};

/* The connection was made within this check. */
static inline bool probe_is_new(const struct probe *probe)
{
    return probe->attempts > 0;
}

/* --- probe.c --- */

/* So much time from now on. */
void probe_limit(struct probe *probe, uint32_t limit_ms);
/* Ends the check; the probe may not be touched afterwards but by its owner. */
void probe_fail(struct probe *probe, enum health_cause cause, const char *text);
void probe_finish(struct probe *probe);

/* --- probe_steps.c --- */

void probe_begin_step(struct probe *probe, enum probe_step step);
void probe_end_step(struct probe *probe);
/* Begins a step and asks its question. */
void probe_start_step(struct probe *probe, enum probe_step step);
/* The step was fine: on to the next one that is needed, or to a good end. */
void probe_go_on(struct probe *probe);
void probe_on_reply(struct probe *probe, const struct redisReply *reply);
