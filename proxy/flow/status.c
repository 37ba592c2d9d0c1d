/*
 * RESPGATE STATUS and its siblings: which Redis this client is on, since when and why, for whoever has only a Redis
 * client. STATUS is lines of key:value, as INFO has them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_report.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/repairer.h"
#include "proxy/flow/reports.h"
#include "proxy/flow/slowlog.h"
#include "proxy/health/journal.h"
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

static void write_status(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    add_choice(out, worker, now_ms);
    for (unsigned i = 0; i < worker->snapshot->n; i++)
        add_view(out, &worker->snapshot->at[i], now_ms);
}

static void write_clients(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    report_clients(out, worker->crew, now_ms, "\r\n");
}

static void write_backends(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    report_backends(out, worker->snapshot, now_ms, "\r\n");
}

static void write_events(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    (void)now_ms;
    if (worker->crew->journal && journal_print(worker->crew->journal, out, 0, "\r\n"))
        fputs("\r\n", out);
}

static void write_slowlog(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    (void)now_ms;
    slowlog_print(worker->crew, out, "\r\n");
}

static void write_observed(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    (void)now_ms;
    repairer_report(out, worker->settings, "\r\n");
}

static void write_limits(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    report_limits(out, worker->settings, now_ms, "\r\n");
}

static void write_leases(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    report_leases(out, worker->settings, now_ms, "\r\n");
}

static void write_config(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    (void)now_ms;
    conf_print(worker->settings->conf, out, CONF_TEXT, true);
}

static void write_help(FILE *out, const struct worker *worker, uint64_t now_ms);

static const struct subject {
    const char *name;
    void (*write)(FILE *, const struct worker *, uint64_t now_ms);
    const char *help;
} subjects[] = {
    {"STATUS", write_status, "which backend is in use, since when and why; the state of each"},
    {"BACKENDS", write_backends, "each backend with its replies and how long they took"},
    {"CLIENTS", write_clients, "who is connected and what each is doing, as of the last second"},
    {"LIMITS", write_limits, "each limit with its numbers and what became of its calls"},
    {"LEASES", write_leases, "places of semaphores that were granted through this process"},
    {"EVENTS", write_events, "what changed last, one JSON object a line"},
    {"SLOWLOG", write_slowlog, "requests that took longer than stats.slowlog, one JSON object a line"},
    {"OBSERVE", write_observed, "what the rules of repair have seen of clients that know nothing of limits"},
    {"CONFIG", write_config, "every setting, where it came from and what it shadows; secrets as ***"},
    {"HELP", write_help, "this text"},
};

static void write_help(FILE *out, const struct worker *worker, uint64_t now_ms)
{
    (void)worker, (void)now_ms;
    fputs("RESPGATE <subcommand>: what this proxy does and why. The backend is not asked.\r\n", out);
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
        fprintf(out, "%-8s  %s\r\n", subjects[i].name, subjects[i].help);
    fputs("LEASES rule [subject]  how many places of that semaphore the backend says are held\r\n", out);
    fputs("EXPLAIN command [argument ...]  what would become of that command, and why\r\n", out);
}

static const struct subject *find_subject(const struct call *call)
{
    for (size_t i = 0; call->argc == 2 && i < sizeof(subjects) / sizeof(subjects[0]); i++)
        if (arg_is(call->sub, call->sub_len, subjects[i].name))
            return &subjects[i];
    return NULL;
}

size_t status_command(struct client *client, const struct call *call)
{
    const struct subject *subject = find_subject(call);
    char *text = NULL;
    size_t len = 0;
    FILE *out;

    if (call->argc > 2 && arg_is(call->sub, call->sub_len, "EXPLAIN"))
        return repair_explain(client, call);
    if (call->argc > 2 && call->argc < 5 && arg_is(call->sub, call->sub_len, "LEASES"))
        return limit_leases(client, call);
    if (!subject) {
        client_answer_error(client, "ERR unknown subcommand or wrong number of arguments. Try RESPGATE HELP.",
                            &client->worker->counters.replied);
        return call->len;
    }
    out = open_memstream(&text, &len);
    if (!out)
        return 0;
    subject->write(out, client->worker, loop_now_ms(&client->worker->loop));
    fclose(out);
    client_answer_text(client, text, len);
    free(text);
    return call->len;
}
