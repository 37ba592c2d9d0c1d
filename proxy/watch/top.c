/* /top: the view for a terminal, one screen of plain text. `respgate top` shows it again and again. */
#include "conf/conf.h"
#include "proxy/flow/limit_report.h"
#include "proxy/flow/reports.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/worker.h"
#include "proxy/health/journal.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/loop.h"
#include "proxy/watch/build.h"
#include "proxy/watch/history.h"
#include "proxy/watch/http.h"
#include "proxy/watch/scene.h"

enum { EVENTS_SHOWN = 8 };

static void write_choice(const struct scene *scene, FILE *out, uint64_t now_ms)
{
    const struct snapshot *snapshot = scene->snapshot;
    const char *unready = scene_unready(scene);

    fprintf(out, "respgate %s  up %.0fs  %s%s%s\n", scene->build->version,
            (double)(scene_wall_ms() - scene->started_ms) / 1000, unready ? "NOT READY: " : "ready",
            unready ? unready : "", scene->draining ? " (draining)" : "");
    if (!snapshot)
        return;
    fprintf(out, "backend %s  data %s  for %.1fs  because %s  switches %llu\n",
            snapshot->chosen ? snapshot->chosen->name : "NONE", snapshot->chosen ? snapshot->chosen->dataset : "-",
            snapshot->since_ms ? (double)(now_ms - snapshot->since_ms) / 1000 : 0.0,
            snapshot->n ? route_why_text(snapshot->why) : "nothing was checked yet",
            (unsigned long long)snapshot->epoch);
}

static void write_rates(const struct scene *scene, FILE *out)
{
    struct history_sample recent = history_recent(scene->history);

    fprintf(out, "%llu requests/s  %llu failed/s  p50 %.2f ms  p99 %.2f ms  %u clients   (last %d s)\n",
            (unsigned long long)recent.requests, (unsigned long long)recent.failed, recent.p50_us / 1000.0,
            recent.p99_us / 1000.0, atomic_load(&scene->crew->clients), HISTORY_RECENT);
}

void page_top(const struct scene *scene, struct page *page)
{
    const struct conf *conf = scene->settings->conf;
    uint64_t now_ms = loop_now_ms(scene->loop);
    FILE *out = page->body;

    write_choice(scene, out, now_ms);
    write_rates(scene, out);
    if (conf_overrides(conf))
        fprintf(out, "%zu settings are overridden: %s\n", conf_overrides(conf), conf_overridden(conf));
    fputs("\nBACKENDS\n", out);
    if (scene->snapshot)
        report_backends(out, scene->snapshot, now_ms, "\n");
    fputs("\nLIMITS\n", out);
    report_limits(out, scene->settings, now_ms, "\n");
    fputs("\nCLIENTS\n", out);
    report_clients(out, scene->crew, now_ms, "\n");
    fputs("\nEVENTS\n", out);
    journal_print_text(scene->journal, out, EVENTS_SHOWN);
}
