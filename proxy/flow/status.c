/*
 * RESPGATE STATUS: which Redis this client is on, since when and why, for whoever has only a Redis client. Lines of
 * key:value, as INFO has them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/flow/client.h"
#include "proxy/health/snapshot.h"

enum { HEAD_ROOM = 1024, VIEW_ROOM = 1280 };

struct text {
    char *at;
    size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text->at + text->len, text->cap - text->len, format, args);
    va_end(args);
    if (n > 0)
        text->len += (size_t)n < text->cap - text->len ? (size_t)n : text->cap - text->len - 1;
}

static void add_choice(struct text *text, const struct worker *worker, uint64_t now_ms)
{
    const struct snapshot *snapshot = worker->snapshot;
    const struct backend *chosen = snapshot->chosen;

    add(text, "backend:%s\r\n", chosen ? chosen->name : "none");
    add(text, "dataset:%s\r\n", chosen ? chosen->dataset : "none");
    add(text, "epoch:%llu\r\n", (unsigned long long)snapshot->epoch);
    add(text, "since_ms:%llu\r\n", (unsigned long long)(snapshot->since_ms ? now_ms - snapshot->since_ms : 0));
    add(text, "why:%s\r\n", snapshot->n ? route_why_text(snapshot->why) : "nothing was checked yet");
    add(text, "ready:%s\r\n", snapshot->ready && !worker->draining ? "yes" : "no");
    add(text, "ready_reason:%s\r\n",
        worker->draining ? "draining"
        : snapshot->n    ? snapshot->unready
                         : "nothing was checked yet");
}

static void add_view(struct text *text, const struct backend_view *view, uint64_t now_ms)
{
    const struct backend *backend = view->backend;

    add(text,
        "backend_%s:state=%s,cause=%s,held=%s,since_ms=%llu,priority=%u,dataset=%s,metered=%s,url=%s,reason=%s\r\n",
        backend->name, health_state_name(view->state), health_cause_name(view->cause), view->held ? "yes" : "no",
        (unsigned long long)(now_ms - view->since_ms), backend->priority, backend->dataset,
        backend->metered ? "yes" : "no", backend->redacted, view->reason);
}

static size_t answer_status(struct client *client, const struct call *call)
{
    struct worker *worker = client->worker;
    const struct snapshot *snapshot = worker->snapshot;
    uint64_t now_ms = loop_now_ms(&worker->loop);
    struct text text = {.cap = HEAD_ROOM + snapshot->n * VIEW_ROOM};

    text.at = malloc(text.cap);
    if (!text.at)
        return 0;
    add_choice(&text, worker, now_ms);
    for (unsigned i = 0; i < snapshot->n; i++)
        add_view(&text, &snapshot->at[i], now_ms);
    client_answer_text(client, text.at, text.len);
    free(text.at);
    return call->len;
}

size_t status_command(struct client *client, const struct call *call)
{
    if (call->row->id == CMD_RESPGATE_STATUS && call->argc == 2)
        return answer_status(client, call);
    client_answer_error(client, "ERR unknown subcommand or wrong number of arguments. Try RESPGATE STATUS.",
                        &client->worker->counters.replied);
    return call->len;
}
