/* What the monitor tells: a line for each state, decision and choice, and a snapshot for everybody else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/journal.h"
#include "proxy/health/monitor_parts.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/watch/meter.h"

static void log_decision(struct monitor *monitor)
{
    const struct director *director = &monitor->director;
    char text[sizeof(monitor->decided)];

    route_format(text, sizeof(text), &director->input, director->choice);
    if (!strcmp(text, monitor->decided))
        return;
    memcpy(monitor->decided, text, sizeof(text));
    log_write(LOG_INFO, "decision", LOG_NUM("epoch", director->epoch), LOG_TEXT("decision", text));
}

static const char *name_of(const struct backend *backend)
{
    return backend ? backend->name : "none";
}

/* Data does not follow a switch; whoever reads the log later must see where it ended up. */
static const char *say_of_data(const struct backend *last, const struct backend *now)
{
    if (!last)
        return "the first in use";
    return strcmp(last->dataset, now->dataset) != 0 ? "another data set than before; data does not follow"
                                                    : "as before";
}

static void log_choice(struct monitor *monitor, const struct snapshot *snapshot, const struct backend *before)
{
    struct backend *now = snapshot->chosen;

    if (!now) {
        journal_write(monitor->journal, LOG_WARN, "selected", LOG_TEXT("backend", "none"),
                      LOG_NUM("epoch", snapshot->epoch), LOG_TEXT("why", route_why_text(snapshot->why)),
                      LOG_TEXT("before", name_of(before)));
        return;
    }
    journal_write(monitor->journal, LOG_INFO, "selected", LOG_TEXT("backend", now->name),
                  LOG_NUM("epoch", snapshot->epoch), LOG_TEXT("why", route_why_text(snapshot->why)),
                  LOG_NUM("priority", now->priority), LOG_TEXT("dataset", now->dataset), LOG_TEXT("url", now->redacted),
                  LOG_TEXT("before", name_of(before)), LOG_TEXT("data", say_of_data(monitor->last_used, now)));
    now->tally->selections[snapshot->why]++;
    backend_unref(monitor->last_used);
    monitor->last_used = backend_ref(now);
}

void announce_state(const struct watched *watched)
{
    const struct health *health = watched_health(watched);
    const struct backend *backend = watched->backend;
    struct journal *journal = watched->monitor->journal;

    if (health->state == HEALTH_UP)
        journal_write(journal, LOG_INFO, "backend up", LOG_TEXT("backend", backend->name),
                      LOG_TEXT("url", backend->redacted));
    else
        journal_write(journal, health->state == HEALTH_SUSPECT ? LOG_INFO : LOG_WARN,
                      health->state == HEALTH_SUSPECT ? "backend suspect" : "backend down",
                      LOG_TEXT("backend", backend->name), LOG_TEXT("state", health_state_name(health->state)),
                      LOG_TEXT("cause", health_cause_name(health->cause)), LOG_TEXT("url", backend->redacted),
                      LOG_TEXT("reason", watched->reason));
}

/* Why the process is not ready; "" when it is. */
static void explain_unready(const struct monitor *monitor, char *text, size_t len)
{
    int index = monitor->director.choice.index;

    text[0] = 0;
    if (index < 0 && monitor->expected[0])
        snprintf(text, len, "the expected backend %s is not usable", monitor->expected);
    else if (index < 0 && monitor->pinned[0])
        snprintf(text, len, "the pinned backend %s is not usable", monitor->pinned);
    else if (index < 0)
        snprintf(text, len, "%s", route_why_text(monitor->director.choice.why));
    else if (monitor->rules.require_first && index > 0)
        snprintf(text, len, "fallback.require is primary, and %s is in use instead of %s",
                 monitor->watched[index]->backend->name, monitor->watched[0]->backend->name);
}

/* Whether a check that matters has no result yet, so that nobody can say that nothing is usable. */
static bool is_undecided(const struct monitor *monitor)
{
    const struct director *director = &monitor->director;

    if (director->choice.index >= 0)
        return false;
    for (unsigned i = 0; i < monitor->n; i++)
        if (director->health[i].state == HEALTH_UNKNOWN &&
            (director->input.pinned < 0 || director->input.pinned == (int)i))
            return true;
    return false;
}

static void fill_view(struct backend_view *view, const struct watched *watched, unsigned i)
{
    const struct director *director = &watched->monitor->director;

    view->backend = backend_ref(watched->backend);
    view->state = director->health[i].state;
    view->cause = director->health[i].cause;
    view->held = director->input.held[i];
    view->since_ms = director->health[i].since_ms;
    if (view->state != HEALTH_UP)
        snprintf(view->reason, sizeof(view->reason), "%s", watched->reason);
}

void announce_route(struct monitor *monitor)
{
    const struct director *director = &monitor->director;
    struct snapshot *snapshot = snapshot_new(monitor->n), *before = monitor->snapshot;

    if (!snapshot)
        end_out_of_memory(sizeof(*snapshot)); /* workers that miss a switch would write to the wrong backend */
    for (unsigned i = 0; i < monitor->n; i++)
        fill_view(&snapshot->at[i], monitor->watched[i], i);
    snapshot->epoch = director->epoch;
    /* Why this one is in use: that it was kept since says nothing. */
    snapshot->why = before && director->choice.why == ROUTE_KEPT ? before->why : director->choice.why;
    snapshot->chosen = director->choice.index < 0 ? NULL : snapshot->at[director->choice.index].backend;
    snapshot->undecided = is_undecided(monitor);
    snapshot->since_ms = before && before->epoch == snapshot->epoch ? before->since_ms : loop_now_ms(monitor->loop);
    explain_unready(monitor, snapshot->unready, sizeof(snapshot->unready));
    snapshot->ready = !snapshot->unready[0];
    monitor->snapshot = snapshot;
    log_decision(monitor);
    if (snapshot->epoch != (before ? before->epoch : 0))
        log_choice(monitor, snapshot, before ? before->chosen : NULL);
    monitor->on_route(monitor->arg, snapshot);
    snapshot_unref(before);
}
