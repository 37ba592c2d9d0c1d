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

struct probe {
    struct conn conn;
    struct loop *loop;
    struct backend *backend;
    probe_done *done;
    void *arg;
    struct redisReader *reader;
    redisReplyObjectFunctions functions; /* the reader's own, but for arrays */
    struct event *limit, *attempt, *name_wait;
    bool running;
    enum probe_step step;
    size_t address;  /* which of the backend's the next attempt takes */
    size_t attempts; /* addresses tried within this check */
    size_t received; /* bytes of replies within this check */
    uint32_t timeout_ms;
    int64_t began_us;
    int64_t step_began_us;
    char nonce[NONCE_ROOM];
    bool named;     /* CLIENT SETNAME was sent, its reply is still to come */
    bool selecting; /* SELECT was sent, its reply is still to come */
    struct probe_result result;
};

/* The connection was made within this check. */
static inline bool probe_is_new(const struct probe *probe)
{
    return probe->attempts > 0;
}

/* --- probe.c --- */

/* Ends the check; the probe may not be touched afterwards but by its owner. */
void probe_fail(struct probe *probe, enum health_cause cause, const char *text);
void probe_finish(struct probe *probe);

/* --- probe_steps.c --- */

int64_t probe_now_us(void);
void probe_begin_step(struct probe *probe, enum probe_step step);
void probe_end_step(struct probe *probe);
/* Begins a step and asks its question. */
void probe_start_step(struct probe *probe, enum probe_step step);
/* The step was fine: on to the next one that is needed, or to a good end. */
void probe_go_on(struct probe *probe);
void probe_on_reply(struct probe *probe, const struct redisReply *reply);
