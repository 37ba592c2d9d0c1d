#include "proxy/watch/history.h"

#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/limit_book.h"
#include "proxy/flow/worker.h"
#include "proxy/net/loop.h"
#include "proxy/watch/scene.h"

struct history {
    const struct scene *scene;
    struct event *second;
    struct history_sample samples[HISTORY_KEPT];
    unsigned n, next;           /* how many there are, where the next goes */
    uint64_t requests, failed;  /* in all, at the last sample */
    struct distribution before; /* likewise */
};

/* Waiting is what blocking commands are for. */
static void add_latencies(struct distribution *sum, const struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        for (int kind = REQUEST_CLASS_NONE + 1; kind < REQUEST_CLASSES; kind++)
            if (kind != REQUEST_CLASS_blocking)
                distribution_add(sum, &crew->workers[i].latency[kind]);
}

static void subtract(struct distribution *from, const struct distribution *what)
{
    for (unsigned i = 0; i < HISTOGRAM_CELLS; i++)
        from->cells[i] -= what->cells[i];
    from->count -= what->count;
}

static uint64_t count_failed(const struct crew *crew)
{
    return crew_total(crew, offsetof(struct counters, unavailable)) +
           crew_total(crew, offsetof(struct counters, unknown)) + crew_total(crew, offsetof(struct counters, state)) +
           crew_total(crew, offsetof(struct counters, limited));
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct history *history = arg;
    struct history_sample *sample = &history->samples[history->next];
    const struct crew *crew = history->scene->crew;
    uint64_t requests = crew_total(crew, offsetof(struct counters, accepted));
    uint64_t failed = count_failed(crew);
    struct distribution now = {0}, recent;

    (void)fd, (void)what;
    add_latencies(&now, crew);
    recent = now;
    subtract(&recent, &history->before);
    sample->requests = requests - history->requests;
    sample->failed = failed - history->failed;
    sample->clients = atomic_load(&crew->clients);
    sample->p50_us = (uint32_t)distribution_quantile(&recent, 0.5);
    sample->p99_us = (uint32_t)distribution_quantile(&recent, 0.99);
    history->requests = requests;
    history->failed = failed;
    history->before = now;
    history->next = (history->next + 1) % HISTORY_KEPT;
    history->n += history->n < HISTORY_KEPT;
    limit_book_note_second(history->scene->settings->limit_book);
}

struct history *history_new(const struct scene *scene)
{
    struct history *history = calloc(1, sizeof(*history));
    struct timeval second = {.tv_sec = 1};

    if (!history)
        return NULL;
    history->scene = scene;
    history->second = event_new(scene->loop->base, -1, EV_PERSIST, on_second, history);
    if (!history->second) {
        free(history);
        return NULL;
    }
    event_add(history->second, &second);
    return history;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    event_free(history->second);
    free(history);
}

/* The i-th of those that are kept, the oldest first. */
static const struct history_sample *sample_at(const struct history *history, unsigned i)
{
    return &history->samples[(history->next + HISTORY_KEPT - history->n + i) % HISTORY_KEPT];
}

struct history_sample history_recent(const struct history *history)
{
    unsigned n = history->n < HISTORY_RECENT ? history->n : HISTORY_RECENT;
    struct history_sample recent = {0};

    for (unsigned i = history->n - n; i < history->n; i++) {
        const struct history_sample *sample = sample_at(history, i);
        recent.requests += sample->requests;
        recent.failed += sample->failed;
        recent.clients = sample->clients;
        recent.p50_us = sample->p50_us > recent.p50_us ? sample->p50_us : recent.p50_us;
        recent.p99_us = sample->p99_us > recent.p99_us ? sample->p99_us : recent.p99_us;
    }
    recent.requests /= n ? n : 1;
    recent.failed /= n ? n : 1;
    return recent;
}

#define WRITE_ROW(history, out, end, name)                                                                             \
    do {                                                                                                               \
        fprintf((out), "\"" #name "\":[");                                                                             \
        for (unsigned i = 0; i < (history)->n; i++)                                                                    \
            fprintf((out), "%s%llu", i ? "," : "", (unsigned long long)sample_at((history), i)->name);                 \
        fprintf((out), "]%s", (end));                                                                                  \
    } while (0)

void history_write_json(const struct history *history, FILE *out)
{
    WRITE_ROW(history, out, ",", requests);
    WRITE_ROW(history, out, ",", failed);
    WRITE_ROW(history, out, ",", clients);
    WRITE_ROW(history, out, ",", p50_us);
    WRITE_ROW(history, out, "", p99_us);
}
