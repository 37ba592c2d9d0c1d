/*
 * RESPGATE STATUS: which Redis this client is on, since when and why, for whoever has only a Redis client. Lines of
 * key:value, as INFO has them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/flow/client.h"
#include "proxy/health/snapshot.h"

static void add_choice(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    const struct snapshot *snapshot = worker->snapshot;
    const struct backend *chosen = snapshot->chosen;

    fprintf(out, "backend:%s\r\n", chosen ? chosen->name : "none");
    fprintf(out, "dataset:%s\r\n", chosen ? chosen->dataset : "none");
    fprintf(out, "epoch:%llu\r\n", (unsigned long long)snapshot->epoch);
    fprintf(out, "since_ms:%llu\r\n", (unsigned long long)(snapshot->since_ms ? now_ms - snapshot->since_ms : 0));
    fprintf(out, "why:%s\r\n", snapshot->n ? route_why_text(snapshot->why) : "nothing was checked yet");
    fprintf(out, "ready:%s\r\n", snapshot->ready && !worker->draining ? "yes" : "no");
    fprintf(out, "ready_reason:%s\r\n",
            worker->draining ? "draining"
            : snapshot->n    ? snapshot->unready
                             : "nothing was checked yet");
}

/* Of the backend's clock and ours. */
static void add_clock(FILE *out, const struct fence *fence)
{
    if (fence_knows(fence))
        fprintf(out, "clock_ahead_us=%lld,", (long long)fence_ahead_us(fence));
    else
        fprintf(out, "clock_ahead_us=unknown,");
}

static void add_view(FILE *out, const struct backend_view *view, uint64_t now_ms)
{
    const struct backend *backend = view->backend;

    fprintf(out, "backend_%s:state=%s,cause=%s,held=%s,since_ms=%llu,priority=%u,dataset=%s,metered=%s,", backend->name,
            health_state_name(view->state), health_cause_name(view->cause), view->held ? "yes" : "no",
            (unsigned long long)(now_ms - view->since_ms), backend->priority, backend->dataset,
            backend->metered ? "yes" : "no");
    add_clock(out, &backend->fence);
    fprintf(out, "url=%s,reason=%s\r\n", backend->redacted, view->reason);
}

static size_t answer_status(struct client *client, const struct call *call)
{
    struct worker *worker = client->worker;
    const struct snapshot *snapshot = worker->snapshot;
    uint64_t now_ms = loop_now_ms(&worker->loop);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return 0;
    add_choice(out, worker, now_ms);
    for (unsigned i = 0; i < snapshot->n; i++)
        add_view(out, &snapshot->at[i], now_ms);
    fclose(out);
    client_answer_text(client, text, len);
    free(text);
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
