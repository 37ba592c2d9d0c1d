/* What a check asks, step by step, and what the answers mean. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/health/backend.h"
#include "proxy/health/error_words.h"
#include "proxy/health/handshake.h"
#include "proxy/health/info.h"
#include "proxy/health/probe_parts.h"
#include "proxy/net/loop.h"

static const char dataset_key[] = "respgate:dataset";

void probe_begin_step(struct probe *probe, enum probe_step step)
{
    probe->step = step;
    probe->step_began_us = clock_now_us();
}

void probe_end_step(struct probe *probe)
{
    probe->result.step_us[probe->step] = clock_now_us() - probe->step_began_us;
}

static void send_command(struct probe *probe, int argc, const char **argv)
{
    char *command = NULL;
    int len = redisFormatCommandArgv(&command, argc, argv, NULL);

    fence_asked(&probe->backend->fence, clock_now_us());
    probe_limit(probe, probe->limits.answer_ms);
    if (len < 0)
        return; /* no memory: the check runs out of time */
    conn_write(&probe->conn, command, (size_t)len);
    explicit_bzero(command, (size_t)len);
    free(command);
}

static void send_auth(struct probe *probe)
{
    const struct redis_url *url = &probe->backend->url;

    if (url->user)
        send_command(probe, 3, (const char *[]){"AUTH", url->user, url->password});
    else
        send_command(probe, 2, (const char *[]){"AUTH", url->password});
}

/*
 * Operators shall know the connection when they see it. Whatever the answer is, it says nothing of the backend, because
 * PING has passed: before that, the first reply may be the refusal of the connection itself (max clients).
 */
static void send_name(struct probe *probe)
{
    probe->named = true;
    send_command(probe, 3, (const char *[]){"CLIENT", "SETNAME", "respgate-probe"});
}

static void send_ping(struct probe *probe)
{
    handshake_nonce(probe->nonce);
    send_command(probe, 2, (const char *[]){"PING", probe->nonce});
}

/* What answers in RESP is no port for TLS. */
static void send_greeting(struct probe *probe)
{
    probe->greeting = true;
    send_command(probe, 1, (const char *[]){"PING"});
}

static bool needs_select(const struct probe *probe)
{
    return probe_is_new(probe) && probe->backend->url.db;
}

/* Each GET costs where commands do. */
static bool needs_label(const struct probe *probe)
{
    return probe->backend->labelled && !probe->backend->metered;
}

static void send_select(struct probe *probe)
{
    char db[16];

    snprintf(db, sizeof(db), "%u", probe->backend->url.db);
    probe->selecting = true;
    send_command(probe, 2, (const char *[]){"SELECT", db});
}

void probe_start_step(struct probe *probe, enum probe_step step)
{
    probe_begin_step(probe, step);
    switch (step) {
    case PROBE_AUTH:
        if (probe->backend->url.tls)
            send_auth(probe);
        else
            send_greeting(probe);
        return;
    case PROBE_PING:
        send_ping(probe);
        return;
    case PROBE_ROLE: /* not ROLE, which costs money or is missing where INFO is free */
        if (probe_is_new(probe) && !probe->backend->metered)
            send_name(probe);
        send_command(probe, 2, (const char *[]){"INFO", "replication"});
        return;
    case PROBE_CLOCK:
        if (probe->backend->metered)
            send_command(probe, 2, (const char *[]){"INFO", "server"});
        else
            send_command(probe, 1, (const char *[]){"TIME"});
        return;
    case PROBE_DATASET:
        if (needs_select(probe))
            send_select(probe);
        else
            send_command(probe, 2, (const char *[]){"GET", dataset_key});
        return;
    default:
        return;
    }
}

static bool is_needed(const struct probe *probe, enum probe_step step)
{
    if (step == PROBE_TLS)
        return false; /* part of connecting */
    if (step == PROBE_AUTH)
        return probe->backend->url.password;
    if (step == PROBE_CLOCK)
        return !probe->clock_known && !probe->clockless;
    if (step == PROBE_DATASET)
        return needs_select(probe) || needs_label(probe);
    return step < PROBE_STEPS;
}

/* A clock of before may be that of another process. */
static void pass(struct probe *probe)
{
    if (!probe->clock_known)
        fence_forget(&probe->backend->fence);
    probe->result.passed = true;
    probe_finish(probe);
}

/* The step that just ended was fine. */
void probe_go_on(struct probe *probe)
{
    unsigned step = probe->step;

    probe_end_step(probe);
    do
        step++;
    while (step < PROBE_STEPS && !is_needed(probe, (enum probe_step)step));
    if (step < PROBE_STEPS) {
        probe_start_step(probe, (enum probe_step)step);
        return;
    }
    pass(probe);
}

/* --- replies --- */

static void fail_with_reply(struct probe *probe, enum health_cause cause, const redisReply *reply)
{
    char text[256];

    handshake_refusal(text, sizeof(text), reply->str, (size_t)reply->len, probe->backend->url.password);
    probe_fail(probe, cause, text);
}

/* The cause of an error reply; CAUSE_NONE when it says nothing of the backend. */
static enum health_cause cause_of(const redisReply *reply)
{
    char line[160];
    int n = snprintf(line, sizeof(line), "-%s", reply->str);

    return error_words((const uint8_t *)line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* An error about something else than what was asked: ends the check with it. */
static bool fails_anyway(struct probe *probe, const redisReply *reply)
{
    enum health_cause cause = reply->type == REDIS_REPLY_ERROR ? cause_of(reply) : CAUSE_NONE;

    if (cause == CAUSE_NONE || cause == CAUSE_AUTH) /* who may not ask does not know */
        return false;
    fail_with_reply(probe, cause, reply);
    return true;
}

static bool is_text(const redisReply *reply, const char *text)
{
    size_t len = strlen(text);

    return reply->type == REDIS_REPLY_STRING && (size_t)reply->len == len && !memcmp(reply->str, text, len);
}

static void on_ping_reply(struct probe *probe, const redisReply *reply)
{
    static const char *const harmless[] = {"MISCONF", "OOM", "NOREPLICAS", "NOPERM"};
    enum health_cause cause;

    if (is_text(reply, probe->nonce)) {
        probe_go_on(probe);
        return;
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        probe_fail(probe, CAUSE_PROTOCOL, "PING came back changed");
        return;
    }
    /* Alive, and in step, and what a switch would not mend; clients shall see its own words. */
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        if (!strncmp(reply->str, harmless[i], strlen(harmless[i]))) {
            probe_go_on(probe);
            return;
        }
    cause = cause_of(reply);
    /* Where clients log in by themselves, the backend's own word on that is none against it. */
    if (cause == CAUSE_AUTH && probe->backend->clients_log_in && !probe->backend->url.password) {
        probe_end_step(probe);
        pass(probe);
        return;
    }
    fail_with_reply(probe, cause == CAUSE_NONE ? CAUSE_PROTOCOL : cause, reply);
}

static void learn(struct probe *probe, int64_t clock_us)
{
    if (clock_us == CLOCK_UNTOLD)
        return;
    probe->clock_known = true;
    fence_learn(&probe->backend->fence, clock_us, clock_now_us());
}

static bool is_pair(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->str && reply->element[1]->str;
}

static void on_clock_reply(struct probe *probe, const redisReply *reply)
{
    if (fails_anyway(probe, reply))
        return;
    if (reply->type == REDIS_REPLY_STRING)
        learn(probe, clock_of_info(reply->str));
    else if (is_pair(reply))
        learn(probe, clock_of_time(reply->element[0]->str, reply->element[1]->str));
    probe->clockless = !probe->clock_known;
    probe_go_on(probe);
}

static void on_role_reply(struct probe *probe, const redisReply *reply)
{
    char host[128], port[16], text[192];

    if (fails_anyway(probe, reply))
        return;
    if (reply->type == REDIS_REPLY_STRING) {
        info_value(reply->str, "role:", probe->result.role, sizeof(probe->result.role));
        learn(probe, clock_of_info(reply->str));
    }
    if (strcmp(probe->result.role, "slave") != 0) { /* an error too: who may not ask does not know the role */
        probe_go_on(probe);
        return;
    }
    info_value(reply->str, "master_host:", host, sizeof(host));
    info_value(reply->str, "master_port:", port, sizeof(port));
    snprintf(text, sizeof(text), "it is a replica of %s:%s", host, port);
    probe_fail(probe, CAUSE_ROLE, text);
}

static void on_dataset_reply(struct probe *probe, const redisReply *reply)
{
    char text[256];

    if (fails_anyway(probe, reply))
        return;
    if (reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, "WRONGTYPE", 9)) {
        snprintf(text, sizeof(text), "its key %s is no string", dataset_key);
        probe_fail(probe, CAUSE_DATASET, text);
        return;
    }
    if (reply->type != REDIS_REPLY_STRING || is_text(reply, probe->backend->dataset)) {
        probe_go_on(probe);
        return;
    }
    snprintf(text, sizeof(text), "its key %s says '%.64s', the configuration says '%.64s'", dataset_key, reply->str,
             probe->backend->dataset);
    probe_fail(probe, CAUSE_DATASET, text);
}

/* Without its database a backend serves nobody. */
static void on_select_reply(struct probe *probe, const redisReply *reply)
{
    probe->selecting = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        enum health_cause cause = cause_of(reply);
        fail_with_reply(probe, cause == CAUSE_NONE ? CAUSE_DATASET : cause, reply);
    } else if (needs_label(probe)) {
        send_command(probe, 2, (const char *[]){"GET", dataset_key});
    } else {
        probe_go_on(probe);
    }
}

/* Who may not ask before AUTH says so, and others answer. */
static void on_greeting_reply(struct probe *probe, const redisReply *reply)
{
    probe->greeting = false;
    if (!fails_anyway(probe, reply))
        send_auth(probe);
}

static void on_auth_reply(struct probe *probe, const redisReply *reply)
{
    enum health_cause cause;

    if (reply->type != REDIS_REPLY_ERROR) {
        probe_go_on(probe);
        return;
    }
    cause = cause_of(reply);
    fail_with_reply(probe, cause == CAUSE_NONE ? CAUSE_AUTH : cause, reply);
}

void probe_on_reply(struct probe *probe, const redisReply *reply)
{
    switch (probe->step) {
    case PROBE_AUTH:
        if (probe->greeting)
            on_greeting_reply(probe, reply);
        else
            on_auth_reply(probe, reply);
        return;
    case PROBE_PING:
        on_ping_reply(probe, reply);
        return;
    case PROBE_ROLE:
        on_role_reply(probe, reply);
        return;
    case PROBE_CLOCK:
        on_clock_reply(probe, reply);
        return;
    case PROBE_DATASET:
        if (probe->selecting)
            on_select_reply(probe, reply);
        else
            on_dataset_reply(probe, reply);
        return;
    default:
        return;
    }
}
