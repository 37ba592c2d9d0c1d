/*
 * One sample for each limit of the configuration, and one named (none) for calls that belong to no rule. Limits that
 * are called by name, semaphores, and those that repair have families of their own.
 */
#include <stddef.h>
#include <stdlib.h>

#include "limiter/rule.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/settings.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"

enum { CALLED = 1, SEMAPHORES = 2, REPAIRS = 4 }; /* whose family it is */

/* A family, or one more sample of the one above it (without help). */
struct figure {
    const char *name, *help;
    enum metric_type type;
    int whose;
    size_t offset; /* in struct limit_sum */
    const char *label, *value;
};

#define SUM(name) offsetof(struct limit_sum, name)

static const struct figure figures[] = {
    {"limit_checks",
     "Limiter calls by what they came to; served are those that ask for no leave, queued those whose "
     "reply is not looked at, as it comes with EXEC.",
     METRIC_COUNTER, CALLED, SUM(admitted), "outcome", "admitted"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(denied), "outcome", "denied"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(served), "outcome", "served"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(failed), "outcome", "failed"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(queued), "outcome", "queued"},
    {"limit_denials",
     "Limiter calls that were denied, by why; cache are those denied without asking the backend, which "
     "must have denied them again.",
     METRIC_COUNTER, CALLED, SUM(denied_limited), "reason", "limited"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(denied_cached), "reason", "cache"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(denied_cost), "reason", "cost"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(denied_closed), "reason", "closed"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(denied_queued), "reason", "queued"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(denied_local), "reason", "local"},
    {NULL, NULL, METRIC_COUNTER, CALLED, SUM(denied_replayed), "reason", "replayed"},
    {"limit_shadow_denials", "Limiter calls that were admitted, and would be denied but for shadow = yes.",
     METRIC_COUNTER, CALLED, SUM(shadowed), NULL, NULL},
    {"limit_degraded_decisions",
     "Calls, and commands that a limit repairs, decided by on_backend_down, because no "
     "backend could: denied, admitted, or counted here.",
     METRIC_COUNTER, CALLED | REPAIRS, SUM(down_closed), "mode", "closed"},
    {NULL, NULL, METRIC_COUNTER, CALLED | REPAIRS, SUM(down_open), "mode", "open"},
    {NULL, NULL, METRIC_COUNTER, CALLED | REPAIRS, SUM(down_local), "mode", "local"},
    {"limit_late_checks",
     "Calls, and commands that a limit repairs, that came to the backend after their deadline and "
     "did nothing.",
     METRIC_COUNTER, CALLED | REPAIRS, SUM(late), NULL, NULL},
    {"semaphore_leases", "Places that were granted through this process and still run, counted once a second.",
     METRIC_GAUGE, SEMAPHORES, SUM(leases), NULL, NULL},
    {"semaphore_fullest_key_leases", "Of those, the most of one key.", METRIC_GAUGE, SEMAPHORES, SUM(fullest), NULL,
     NULL},
    {"semaphore_waiters", "Calls that wait for a place, counted once a second.", METRIC_GAUGE, SEMAPHORES, SUM(waiters),
     NULL, NULL},
    {"semaphore_leases_granted", "Places granted.", METRIC_COUNTER, SEMAPHORES, SUM(leases_granted), NULL, NULL},
    {"semaphore_leases_resumed",
     "Places asked for with a token that holds one already, and kept: by the same holder, or "
     "by the one that took its work over.",
     METRIC_COUNTER, SEMAPHORES, SUM(leases_resumed), NULL, NULL},
    {"semaphore_leases_released", "Places given back or revoked before their lease was over.", METRIC_COUNTER,
     SEMAPHORES, SUM(leases_released), NULL, NULL},
    {"semaphore_lease_expirations",
     "Places granted through this process that nobody gave back through it before their "
     "lease was over.",
     METRIC_COUNTER, SEMAPHORES, SUM(leases_expired), NULL, NULL},
    {"repair_checks", "Checks of clients that know nothing of the limit.", METRIC_COUNTER, REPAIRS, SUM(repair_checks),
     NULL, NULL},
    {"repair_refused_checks", "Checks that were told of no room.", METRIC_COUNTER, REPAIRS, SUM(repair_refused), NULL,
     NULL},
    {"repair_unused_checks",
     "Checks that were told of room and that no act followed: with mode = enforce, reservations "
     "that expired.",
     METRIC_COUNTER, REPAIRS, SUM(repair_unused), NULL, NULL},
    {"repair_acts", "Acts of such clients.", METRIC_COUNTER, REPAIRS, SUM(repair_acts), NULL, NULL},
    {"repair_late_acts", "Acts whose reservation had expired.", METRIC_COUNTER, REPAIRS, SUM(repair_late), NULL, NULL},
    {"repair_unasked_acts", "Acts that no check came before.", METRIC_COUNTER, REPAIRS, SUM(repair_unasked), NULL,
     NULL},
    {"repair_overlapping_acts",
     "Acts that came after another's which their check did not know of: the race that lets "
     "too many in while a limit is only observed.",
     METRIC_COUNTER, REPAIRS, SUM(repair_overlaps), NULL, NULL},
    {"repair_overshoots", "Checks that found more than the maximum.", METRIC_COUNTER, REPAIRS, SUM(repair_above), NULL,
     NULL},
    {"repair_counters", "Counters that began.", METRIC_COUNTER, REPAIRS, SUM(repair_born), NULL, NULL},
    {"repair_endless_counters", "Of those, counters without an expiry a second later.", METRIC_COUNTER, REPAIRS,
     SUM(repair_endless), NULL, NULL},
    {"repair_inferred_max", "The count at which clients stop by themselves; 0: not known.", METRIC_GAUGE, REPAIRS,
     SUM(stops_at), NULL, NULL},
};

static int whose(const struct limit_entry *entry)
{
    if (entry->repair)
        return REPAIRS;
    return CALLED | (!entry->rule || entry->rule->kind == RULE_SEMAPHORE ? SEMAPHORES : 0);
}

static bool has_any(const struct limit_book *book, int of)
{
    for (size_t i = 0; i < book->n; i++)
        if (whose(&book->at[i]) & of)
            return true;
    return false;
}

static void write_sample(struct metric_out *out, const struct figure *figure, const char *limit,
                         const struct limit_sum *sum)
{
    double value = (double)*(const uint64_t *)(const void *)((const char *)sum + figure->offset);

    if (figure->label)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("limit", limit), METRIC_LABEL(figure->label, figure->value)),
                      value);
    else
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("limit", limit)), value);
}

static void write_figures(const struct limit_book *book, const struct limit_sum *sums, struct metric_out *out)
{
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        const struct figure *figure = &figures[i];

        if (!has_any(book, figure->whose))
            continue;
        if (figure->name)
            metric_family(out, figure->name, figure->type, figure->help);
        for (size_t l = 0; l < book->n; l++)
            if (whose(&book->at[l]) & figure->whose)
                write_sample(out, figure, book->at[l].record->name, &sums[l]);
    }
}

static void write_maxima(const struct limit_book *book, struct metric_out *out)
{
    bool begun = false;

    for (size_t i = 0; i < book->n; i++) {
        const struct rule *rule = book->at[i].rule;

        if (!rule || rule->kind != RULE_SEMAPHORE)
            continue;
        if (!begun)
            metric_family(out, "semaphore_max_leases", METRIC_GAUGE, "The most places of one key at one time.");
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("limit", rule->name)), (double)rule->limit);
        begun = true;
    }
}

static void write_times(const struct scene *scene, const struct limit_book *book, const struct limit_sum *sums,
                        struct metric_out *out)
{
    metric_family(out, "limit_last_denial_timestamp_seconds", METRIC_GAUGE, "When a limit denied last; 0: never.");
    for (size_t i = 0; i < book->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("limit", book->at[i].record->name)),
                      sums[i].denied_ms ? (double)scene_wall_of(scene, sums[i].denied_ms) / 1000 : 0);
    metric_family(out, "limit_check_duration_seconds", METRIC_HISTOGRAM,
                  "From a limiter call, or a command that a limit repairs or observes, given to a backend connection "
                  "until its reply was whole.");
    for (size_t i = 0; i < book->n; i++) {
        struct distribution distribution = {0};
        limit_add_durations(&distribution, book->at[i].record);
        metric_distribution(out, METRIC_LABELS(METRIC_LABEL("limit", book->at[i].record->name)), &distribution);
    }
}

void metrics_write_limits(const struct scene *scene, struct metric_out *out)
{
    const struct limit_book *book = scene->settings->limit_book;
    struct limit_sum *sums = calloc(book->n, sizeof(*sums));

    for (size_t i = 0; sums && i < book->n; i++)
        limit_sum(book->at[i].record, &sums[i]);
    if (sums) {
        write_figures(book, sums, out);
        write_maxima(book, out);
        write_times(scene, book, sums, out);
    }
    free(sums);
}
