#include "proxy/flow/reports.h"

#include <stdlib.h>

#include "protocol/command.h"
#include "proxy/flow/roll.h"
#include "proxy/flow/worker.h"
#include "proxy/health/snapshot.h"
#include "proxy/watch/meter.h"

void backend_add_latency(struct distribution *sum, struct backend *backend)
{
    for (unsigned i = 0; i < BACKEND_METERS_MAX; i++) {
        const struct backend_meter *meter = atomic_load(&backend->meters[i]);
        if (meter)
            distribution_add(sum, &meter->latency);
    }
}

uint64_t backend_total(struct backend *backend, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < BACKEND_METERS_MAX; i++) {
        const struct backend_meter *meter = atomic_load(&backend->meters[i]);
        if (meter)
            sum += atomic_load_explicit((const _Atomic uint64_t *)(const void *)((const char *)meter + offset),
                                        memory_order_relaxed);
    }
    return sum;
}

static void report_backend(FILE *out, const struct backend_view *view, bool chosen, uint64_t now_ms, const char *end)
{
    struct distribution latency = {0};

    backend_add_latency(&latency, view->backend);
    fprintf(out, "%c %-16s %-8s %8.1fs  %10llu replies  p50 %7.2f ms  p99 %7.2f ms  %s%s%s%s", chosen ? '*' : ' ',
            view->backend->name, health_state_name(view->state), (double)(now_ms - view->since_ms) / 1000,
            (unsigned long long)latency.count, distribution_quantile(&latency, 0.5) / 1000,
            distribution_quantile(&latency, 0.99) / 1000, view->backend->redacted, view->reason[0] ? "  " : "",
            view->reason, end);
}

void report_backends(FILE *out, const struct snapshot *snapshot, uint64_t now_ms, const char *end)
{
    for (unsigned i = 0; i < snapshot->n; i++)
        report_backend(out, &snapshot->at[i], snapshot->at[i].backend == snapshot->chosen, now_ms, end);
}

static void report_client(FILE *out, const struct roll_entry *entry, uint64_t now_ms, const char *end)
{
    char command[64] = "-";

    if (entry->last && entry->last->id != CMD_UNKNOWN)
        snprintf(command, sizeof(command), "%s%s%s", entry->last->name, entry->last->subcommand ? " " : "",
                 entry->last->subcommand ? entry->last->subcommand : "");
    fprintf(out, "%-6llu %-24s %-12s connected %8.1fs  quiet %8.1fs  in flight %-4u last %s%s",
            (unsigned long long)entry->id, entry->name[0] ? entry->name : "(no name)", roll_doing_name(entry->doing),
            (double)(now_ms - entry->created_ms) / 1000,
            (double)(now_ms > entry->active_ms ? now_ms - entry->active_ms : 0) / 1000, entry->inflight, command, end);
}

void report_clients(FILE *out, const struct crew *crew, uint64_t now_ms, const char *end)
{
    struct roll *roll = malloc(sizeof(*roll));

    for (unsigned i = 0; roll && i < crew->count; i++) {
        roll_copy(crew->workers[i].roll, roll);
        for (unsigned j = 0; j < roll->n; j++)
            report_client(out, &roll->at[j], now_ms, end);
        if (roll->clients > roll->n)
            fprintf(out, "and %u more%s", roll->clients - roll->n, end);
    }
    free(roll);
}
