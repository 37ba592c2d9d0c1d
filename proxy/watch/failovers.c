#include "proxy/watch/failovers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/health/snapshot.h"
#include "proxy/watch/histogram.h"

enum { KINDS_MAX = 1024 }; /* reloads could give ever new names */

struct kind {
    SLIST_ENTRY(kind) link;
    char *from, *to; /* "": none */
    enum route_why why;
    uint64_t n;
};

struct failovers {
    SLIST_HEAD(, kind) kinds;
    unsigned n_kinds;
    struct histogram durations;
    uint64_t trouble_ms; /* since when the one in use, or that was, cannot be relied on; 0: there is no trouble */
};

struct failovers *failovers_new(void)
{
    struct failovers *failovers = calloc(1, sizeof(*failovers));

    if (failovers)
        SLIST_INIT(&failovers->kinds);
    return failovers;
}

static void free_kind(struct kind *kind)
{
    free(kind->from);
    free(kind->to);
    free(kind);
}

void failovers_free(struct failovers *failovers)
{
    struct kind *kind;

    if (!failovers)
        return;
    while ((kind = SLIST_FIRST(&failovers->kinds))) {
        SLIST_REMOVE_HEAD(&failovers->kinds, link);
        free_kind(kind);
    }
    free(failovers);
}

static struct kind *find(const struct failovers *failovers, const char *from, const char *to, enum route_why why)
{
    struct kind *kind;

    SLIST_FOREACH(kind, &failovers->kinds, link)
    if (kind->why == why && !strcmp(kind->from, from) && !strcmp(kind->to, to))
        return kind;
    return NULL;
}

static struct kind *add(struct failovers *failovers, const char *from, const char *to, enum route_why why)
{
    struct kind *kind = failovers->n_kinds < KINDS_MAX ? calloc(1, sizeof(*kind)) : NULL;

    if (!kind)
        return NULL;
    *kind = (struct kind){.from = strdup(from), .to = strdup(to), .why = why};
    if (!kind->from || !kind->to) {
        free_kind(kind);
        return NULL;
    }
    SLIST_INSERT_HEAD(&failovers->kinds, kind, link);
    failovers->n_kinds++;
    return kind;
}

static const char *name_of(const struct backend *backend)
{
    return backend ? backend->name : "";
}

static void count_change(struct failovers *failovers, const char *from, const char *to, enum route_why why)
{
    struct kind *kind = find(failovers, from, to, why);

    if (!kind)
        kind = add(failovers, from, to, why);
    if (kind)
        kind->n++;
}

static void note_duration(struct failovers *failovers, uint64_t now_ms)
{
    uint64_t us = (now_ms - failovers->trouble_ms) * 1000;

    if (us > UINT32_MAX)
        us = UINT32_MAX;
    histogram_add(&failovers->durations, histogram_cell((uint32_t)us), (uint32_t)us);
}

/* Trouble begins with a state that is not UP, and goes on while nothing is in use. */
static void note_trouble(struct failovers *failovers, const struct snapshot *now)
{
    const struct backend_view *view = now->chosen ? snapshot_find(now, now->chosen) : NULL;

    if (view && view->state == HEALTH_UP)
        failovers->trouble_ms = 0;
    else if (view && !failovers->trouble_ms)
        failovers->trouble_ms = view->since_ms;
}

/* That it is not UP any more and that it is left may come as one. */
static void note_trouble_with(struct failovers *failovers, const struct snapshot *now, const struct backend *left)
{
    const struct backend_view *view = left ? snapshot_find(now, left) : NULL;

    if (view && view->state != HEALTH_UP && !failovers->trouble_ms)
        failovers->trouble_ms = view->since_ms;
}

void failovers_note(struct failovers *failovers, const struct snapshot *before, const struct snapshot *now,
                    uint64_t now_ms)
{
    const struct backend *left = before ? before->chosen : NULL;

    if (left != now->chosen) {
        bool is_known = left && snapshot_find(now, left); /* else a reload has taken it out */
        count_change(failovers, name_of(is_known ? left : NULL), name_of(now->chosen), now->why);
        note_trouble_with(failovers, now, left);
        if (now->chosen && failovers->trouble_ms) {
            note_duration(failovers, now_ms);
            failovers->trouble_ms = 0;
        }
    }
    note_trouble(failovers, now);
}

uint64_t failovers_n(const struct failovers *failovers, const char *from, const char *to, enum route_why why)
{
    const struct kind *kind = find(failovers, from ? from : "", to ? to : "", why);

    return kind ? kind->n : 0;
}

const struct histogram *failovers_durations(const struct failovers *failovers)
{
    return &failovers->durations;
}
