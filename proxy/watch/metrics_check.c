/* What main's thread counts: checks of the backends, and what was chosen because of them. */
#include "proxy/health/monitor.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"
#include "proxy/watch/failovers.h"
#include "proxy/watch/meter.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"

_Static_assert((int)TALLY_WHYS == ROUTE_ALL_DOWN + 1, "each reason has a count");

static void write_checks(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_check_duration_seconds", METRIC_HISTOGRAM,
                  "How long checks of a backend took, passed or failed.");
    for (unsigned i = 0; i < snapshot->n; i++) {
        struct distribution distribution = {0};
        distribution_add(&distribution, &snapshot->at[i].backend->tally->checks);
        metric_distribution(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)), &distribution);
    }
    metric_family(out, "backend_check_failures", METRIC_COUNTER, "Checks of a backend that failed, by what was wrong.");
    for (unsigned i = 0; i < snapshot->n; i++)
        for (unsigned cause = CAUSE_NONE + 1; cause < CAUSE_SLOW; cause++)
            metric_sample(out,
                          METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name),
                                        METRIC_LABEL("reason", health_cause_name((enum health_cause)cause))),
                          (double)snapshot->at[i].backend->tally->failures[cause]);
}

static void write_selections(const struct scene *scene, struct metric_out *out)
{
    static const enum route_why whys[] = {ROUTE_FIRST, ROUTE_FAILOVER, ROUTE_FAILBACK, ROUTE_PINNED};
    const struct snapshot *snapshot = scene->snapshot;

    metric_family(out, "backend_selections", METRIC_COUNTER, "Times a backend became the one in use, by why.");
    for (unsigned i = 0; i < snapshot->n; i++)
        for (unsigned why = 0; why < sizeof(whys) / sizeof(whys[0]); why++)
            metric_sample(out,
                          METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name),
                                        METRIC_LABEL("why", route_why_text(whys[why]))),
                          (double)snapshot->at[i].backend->tally->selections[whys[why]]);
    metric_single(out, "unselections", METRIC_COUNTER, "Times no backend was usable any more.",
                  (double)scene->unselected);
    metric_single(out, "dataset_changes", METRIC_COUNTER, "Times the backend in use changed to one with other data.",
                  (double)scene->dataset_changes);
}

/* Only what can be: nothing is left for itself, and nothing at all is not left by failing. */
static bool is_possible(const char *from, const char *to, enum route_why why)
{
    if (from && to)
        return from != to && (why == ROUTE_FAILOVER || why == ROUTE_FAILBACK || why == ROUTE_PINNED);
    if (to)
        return why == ROUTE_FIRST || why == ROUTE_PINNED;
    return from && (why == ROUTE_ALL_DOWN || why == ROUTE_WAITING);
}

static void write_failover(const struct failovers *failovers, const char *from, const char *to, struct metric_out *out)
{
    for (int why = 0; why < TALLY_WHYS; why++)
        if (is_possible(from, to, (enum route_why)why))
            metric_sample(out,
                          METRIC_LABELS(METRIC_LABEL("from", from ? from : "none"),
                                        METRIC_LABEL("to", to ? to : "none"),
                                        METRIC_LABEL("reason", route_why_text((enum route_why)why))),
                          (double)failovers_n(failovers, from, to, (enum route_why)why));
}

/* The place behind the last is that of no backend. */
static const char *name_at(const struct snapshot *snapshot, unsigned i)
{
    return i < snapshot->n ? snapshot->at[i].backend->name : NULL;
}

static void write_failovers(const struct scene *scene, struct metric_out *out)
{
    const struct snapshot *snapshot = scene->snapshot;
    struct distribution durations = {0};

    metric_family(out, "failovers", METRIC_COUNTER, "Times the requests went from one backend to another, by why.");
    for (unsigned from = 0; from <= snapshot->n; from++)
        for (unsigned to = 0; to <= snapshot->n; to++)
            write_failover(scene->failovers, name_at(snapshot, from), name_at(snapshot, to), out);
    distribution_add(&durations, failovers_durations(scene->failovers));
    metric_family(out, "failover_duration_seconds", METRIC_HISTOGRAM,
                  "From the first sign of trouble with the backend in use until another one was in use.");
    metric_distribution(out, METRIC_NO_LABELS, &durations);
}

void metrics_write_checks(const struct scene *scene, struct metric_out *out)
{
    metric_single(out, "loop_stalls", METRIC_COUNTER,
                  "Times the main thread stood still for so long that checks had to be made anew.",
                  (double)monitor_stalls(scene->monitor));
    metric_single(out, "log_lines_dropped", METRIC_COUNTER,
                  "Lines of the log that were left out, because many were alike in one second, or were not taken.",
                  (double)log_dropped());
    if (!scene->snapshot)
        return;
    write_checks(scene->snapshot, out);
    write_selections(scene, out);
    write_failovers(scene, out);
}
