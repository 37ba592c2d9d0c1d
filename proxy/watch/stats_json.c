/*
 * /stats.json: what the page shows. "v" goes up when a field changes its meaning or goes away. ?brief leaves out the
 * metrics.
 */
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/text.h"
#include "protocol/command.h"
#include "proxy/flow/reports.h"
#include "proxy/flow/roll.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/worker.h"
#include "proxy/health/journal.h"
#include "proxy/health/monitor.h"
#include "proxy/health/snapshot.h"
#include "proxy/watch/build.h"
#include "proxy/watch/history.h"
#include "proxy/watch/http.h"
#include "proxy/watch/json_out.h"
#include "proxy/watch/meter.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"
#include "proxy/watch/stats_limits.h"

enum { EVENTS_SHOWN = 50 };

static void write_process(const struct scene *scene, FILE *out)
{
    const char *unready = scene_unready(scene);

    json_text(out, "version", scene->build->version);
    json_number(out, "now_ms", scene_wall_ms());
    json_number(out, "started_ms", scene->started_ms);
    json_bool(out, "ready", !unready);
    json_text(out, "reason", unready ? unready : "");
    json_bool(out, "draining", scene->draining);
}

static void write_route(const struct scene *scene, FILE *out)
{
    const struct snapshot *snapshot = scene->snapshot;
    const struct backend *chosen = snapshot ? snapshot->chosen : NULL;

    fputs("\"route\":{", out);
    json_text(out, "backend", chosen ? chosen->name : "none");
    json_text(out, "dataset", chosen ? chosen->dataset : "none");
    json_number(out, "epoch", snapshot ? (int64_t)snapshot->epoch : 0);
    json_number(out, "since_ms",
                snapshot && snapshot->since_ms ? scene_wall_of(scene, snapshot->since_ms) : scene->started_ms);
    json_text(out, "pinned", monitor_pinned(scene->monitor));
    fprintf(out, "\"why\":\"%s\"},", snapshot && snapshot->n ? route_why_text(snapshot->why) : "undecided");
}

static void write_backend(const struct scene *scene, const struct backend_view *view, FILE *out)
{
    struct backend *backend = view->backend;
    struct distribution latency = {0};

    backend_add_latency(&latency, backend);
    fputc('{', out);
    json_text(out, "name", backend->name);
    json_text(out, "url", backend->redacted);
    json_text(out, "dataset", backend->dataset);
    json_number(out, "priority", backend->priority);
    json_bool(out, "metered", backend->metered);
    json_bool(out, "selected", backend == scene->snapshot->chosen);
    json_text(out, "state", health_state_name(view->state));
    json_text(out, "cause", health_cause_name(view->cause));
    json_text(out, "reason", view->reason);
    json_number(out, "since_ms", scene_wall_of(scene, view->since_ms));
    json_number(out, "replies", (int64_t)latency.count);
    json_number(out, "p50_us", (int64_t)distribution_quantile(&latency, 0.5));
    json_number(out, "p99_us", (int64_t)distribution_quantile(&latency, 0.99));
    json_number(out, "connections", (int64_t)backend_total(backend, offsetof(struct backend_meter, lanes)));
    json_number(out, "inflight", (int64_t)backend_total(backend, offsetof(struct backend_meter, inflight)));
    fprintf(out, "\"held\":%s}", view->held ? "true" : "false");
}

static void write_backends(const struct scene *scene, FILE *out)
{
    fputs("\"backends\":[", out);
    for (unsigned i = 0; scene->snapshot && i < scene->snapshot->n; i++) {
        fputs(i ? "," : "", out);
        write_backend(scene, &scene->snapshot->at[i], out);
    }
    fputs("],", out);
}

static void write_config(const struct conf *conf, FILE *out)
{
    fputs("\"config\":{", out);
    json_text(out, "file", conf_file(conf));
    json_text(out, "digest", conf_digest(conf));
    json_number(out, "overrides", (int64_t)conf_overrides(conf));
    json_text(out, "overridden", conf_overridden(conf));
    json_text(out, "ignored_env", conf_ignored_env(conf));
    json_text(out, "expect", conf_expect(conf));
    fputs("\"warnings\":", out);
    text_write_json(out, conf_warnings(conf));
    fputs("},", out);
}

static void write_client(const struct scene *scene, const struct roll_entry *entry, FILE *out)
{
    const struct command *last = entry->last;

    fputc('{', out);
    json_number(out, "id", (int64_t)entry->id);
    json_text(out, "name", entry->name);
    json_text(out, "user", entry->user);
    json_text(out, "doing", roll_doing_name(entry->doing));
    json_text(out, "command", last ? last->name : "");
    json_text(out, "subcommand", last && last->subcommand && last->subcommand[0] != '*' ? last->subcommand : "");
    json_number(out, "connected_ms", scene_wall_of(scene, entry->created_ms));
    json_number(out, "active_ms", scene_wall_of(scene, entry->active_ms));
    json_number(out, "inflight", entry->inflight);
    fprintf(out, "\"pinned\":%s}", entry->pinned ? "true" : "false");
}

static void write_clients(const struct scene *scene, FILE *out)
{
    struct roll *roll = malloc(sizeof(*roll));
    const char *before = "";

    fputs("\"clients\":[", out);
    for (unsigned i = 0; roll && i < scene->crew->count; i++) {
        roll_copy(scene->crew->workers[i].roll, roll);
        for (unsigned j = 0; j < roll->n; j++) {
            fputs(before, out);
            write_client(scene, &roll->at[j], out);
            before = ",\n";
        }
    }
    free(roll);
    fprintf(out, "],\"clients_connected\":%u,", atomic_load(&scene->crew->clients));
}

void page_stats(const struct scene *scene, struct page *page)
{
    uint64_t last = journal_last(scene->journal);
    FILE *out = page->body;

    page->type = "application/json";
    fputs("{\"v\":1,", out);
    write_process(scene, out);
    write_route(scene, out);
    write_backends(scene, out);
    write_config(scene->settings->conf, out);
    stats_write_limits(scene, out);
    write_clients(scene, out);
    fputs("\"history\":{", out);
    history_write_json(scene->history, out);
    fputs("},", out);
    fputs("\"events\":[", out);
    journal_print(scene->journal, out, last > EVENTS_SHOWN ? last - EVENTS_SHOWN : 0, ",\n");
    fputc(']', out);
    if (!page_asks(page, "brief")) {
        fputs(",\"metrics\":", out);
        metrics_write(scene, out, METRIC_JSON);
    }
    fputs("}\n", out);
}
