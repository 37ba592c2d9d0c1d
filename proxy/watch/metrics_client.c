/* What workers count, summed over them: clients, requests, connections. */
#include <stdatomic.h>
#include <stddef.h>

#include "proxy/flow/worker.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"

static double total(const struct crew *crew, size_t offset)
{
    return (double)crew_total(crew, offset);
}

#define TOTAL(crew, name) total((crew), offsetof(struct counters, name))

static void write_connections(const struct crew *crew, struct metric_out *out)
{
    metric_single(out, "client_connections", METRIC_GAUGE, "Clients connected now.", atomic_load(&crew->clients));
    metric_single(out, "client_connections_opened", METRIC_COUNTER, "Clients taken.", TOTAL(crew, clients_accepted));
}

static double census_total(const struct crew *crew, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < crew->count; i++)
        sum += atomic_load_explicit(
            (const _Atomic uint64_t *)(const void *)((const char *)&crew->workers[i].census + offset),
            memory_order_relaxed);
    return (double)sum;
}

static void write_census(const struct crew *crew, struct metric_out *out)
{
#define X(name, help)                                                                                                  \
    metric_single(out, "client_connections_" #name, METRIC_GAUGE, "Clients that " help ".",                            \
                  census_total(crew, offsetof(struct census_gauges, name)));
    CENSUS(X)
#undef X
}

static double bytes(const struct crew *crew, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < crew->count; i++)
        sum += atomic_load_explicit(
            (const _Atomic uint64_t *)(const void *)((const char *)&crew->workers[i].loop.traffic + offset),
            memory_order_relaxed);
    return (double)sum;
}

/* Connections to backends are counted by backend. */
static void write_bytes(const struct crew *crew, struct metric_out *out)
{
    metric_single(out, "client_receive_bytes", METRIC_COUNTER, "Bytes read from clients.",
                  bytes(crew, offsetof(struct traffic, read)));
    metric_single(out, "client_transmit_bytes", METRIC_COUNTER, "Bytes written to clients.",
                  bytes(crew, offsetof(struct traffic, written)));
    metric_single(
        out, "client_buffered_bytes", METRIC_GAUGE,
        "Bytes read from clients that still wait, and those still to be written to them, counted once a second.",
        census_total(crew, offsetof(struct census_gauges, buffered_bytes)));
}

static void write_ends(const struct crew *crew, struct metric_out *out)
{
    metric_family(out, "client_connections_rejected", METRIC_COUNTER, "Clients not taken.");
    metric_sample(out, METRIC_LABELS(METRIC_LABEL("reason", "max_clients")), TOTAL(crew, clients_rejected));
    metric_family(out, "client_connections_cut", METRIC_COUNTER,
                  "Clients closed for something they did or did not do.");
    metric_sample(out, METRIC_LABELS(METRIC_LABEL("reason", "slow")), TOTAL(crew, clients_slow));
    metric_sample(out, METRIC_LABELS(METRIC_LABEL("reason", "login_timeout")), TOTAL(crew, clients_login_timeout));
    metric_sample(out, METRIC_LABELS(METRIC_LABEL("reason", "protocol")), TOTAL(crew, protocol_errors));
}

static void write_ledger(const struct crew *crew, struct metric_out *out)
{
    static const struct {
        const char *name;
        size_t offset;
    } outcomes[] = {
        {"replied", offsetof(struct counters, replied)},         {"rgunavail", offsetof(struct counters, unavailable)},
        {"rgunknown", offsetof(struct counters, unknown)},       {"rgstate", offsetof(struct counters, state)},
        {"rglimit", offsetof(struct counters, limited)},         {"rgdenied", offsetof(struct counters, denied)},
        {"client_gone", offsetof(struct counters, client_gone)},
    };

    metric_family(out, "requests_closed", METRIC_COUNTER,
                  "Requests by what became of them; with those in flight they sum up to requests_accepted_total.");
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("outcome", outcomes[i].name)), total(crew, outcomes[i].offset));
    metric_single(out, "requests_accepted", METRIC_COUNTER, "Requests read whole.", TOTAL(crew, accepted));
}

static void write_lanes(const struct crew *crew, struct metric_out *out)
{
    metric_single(out, "lanes_opened", METRIC_COUNTER, "Backend connections made.", TOTAL(crew, lanes_opened));
    metric_single(out, "lanes_failed", METRIC_COUNTER, "Backend connections that could not be made.",
                  TOTAL(crew, lanes_failed));
    metric_single(out, "lanes_lost", METRIC_COUNTER, "Backend connections lost.", TOTAL(crew, lanes_lost));
    metric_single(out, "pins", METRIC_COUNTER, "Times a client was given a backend connection of its own.",
                  TOTAL(crew, pins));
    metric_single(out, "stray_replies", METRIC_COUNTER, "Replies that nobody had asked for.",
                  TOTAL(crew, stray_replies));
    metric_single(out, "dropped_pushes", METRIC_COUNTER, "Pushes on a shared connection, which are nobody's.",
                  TOTAL(crew, stray_pushes));
    metric_single(out, "dropped_replies", METRIC_COUNTER, "Replies whose client was gone.", TOTAL(crew, tombstones));
    metric_single(out, "scripts_healed", METRIC_COUNTER, "EVALSHA sent again as EVAL.", TOTAL(crew, scripts_healed));
    metric_single(out, "slow_requests", METRIC_COUNTER, "Requests that took longer than stats.slowlog.",
                  TOTAL(crew, slow_requests));
}

void metrics_write_clients(const struct scene *scene, struct metric_out *out)
{
    write_connections(scene->crew, out);
    write_census(scene->crew, out);
    write_bytes(scene->crew, out);
    write_ends(scene->crew, out);
    write_ledger(scene->crew, out);
    write_lanes(scene->crew, out);
}
