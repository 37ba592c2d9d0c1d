#include "proxy/flow/repairer.h"

#include <stdlib.h>
#include <string.h>

#include "limiter/repair_report.h"
#include "protocol/command.h"
#include "protocol/resp.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/worker.h"
#include "proxy/net/log.h"

enum {
    CHECK_ROOM = 150, /* what one remembered check takes: limiter/repair_watch.h */
    ARGS_FIRST = 64,
    LOG_S = 60,
};

static void out_of_memory(size_t bytes)
{
    log_write(LOG_ERROR, "out of memory", LOG_NUM("bytes", bytes));
    abort();
}

/* --- life --- */

/* Without what it needs a rule would not hold though its owner believes in it. */
static void make_watch(struct repairer *repairer)
{
    const struct settings *settings = repairer->worker->settings;
    size_t n = repair_table_count(settings->repairs);
    struct repair_seen *shown = calloc(n + 1, sizeof(*shown));

    repair_watch_free(repairer->watch);
    repairer->watch = NULL;
    if (n)
        repairer->watch =
            repair_watch_new(settings->repairs, settings->limiter.memory / CHECK_ROOM, worker_random(repairer->worker));
    if (!shown || (n && !repairer->watch))
        out_of_memory(settings->limiter.memory);
    pthread_mutex_lock(&repairer->lock);
    free(repairer->shown);
    repairer->shown = shown;
    repairer->shown_of = settings->repairs;
    pthread_mutex_unlock(&repairer->lock);
}

struct repairer *repairer_new(struct worker *worker)
{
    struct repairer *repairer = calloc(1, sizeof(*repairer));

    if (!repairer)
        return NULL;
    repairer->worker = worker;
    repairer->seed = worker_random(worker);
    pthread_mutex_init(&repairer->lock, NULL);
    make_watch(repairer);
    return repairer;
}

void repairer_free(struct repairer *repairer)
{
    if (!repairer)
        return;
    repair_watch_free(repairer->watch);
    pthread_mutex_destroy(&repairer->lock);
    free(repairer->shown);
    free(repairer->args);
    free(repairer);
}

void repairer_reconfigure(struct repairer *repairer)
{
    make_watch(repairer);
    repairer->acts_logged = 0;
}

/* --- reading --- */

static void make_room(struct repairer *repairer, uint32_t argc)
{
    if (argc <= repairer->args_cap)
        return;
    free(repairer->args);
    repairer->args_cap = argc > ARGS_FIRST ? argc : ARGS_FIRST;
    repairer->args = malloc(repairer->args_cap * sizeof(*repairer->args));
    if (!repairer->args)
        out_of_memory(repairer->args_cap * sizeof(*repairer->args));
}

bool repairer_read(struct repairer *repairer, const struct command *row, const uint8_t *bytes, size_t len)
{
    const struct settings *settings = repairer->worker->settings;
    struct request_args args;
    uint32_t argc, n = 0;

    if (!settings->repaired[row->index])
        return false;
    request_args_start(&args, bytes, len);
    argc = args.left;
    make_room(repairer, argc);
    while (n < argc && request_args_next(&args, &repairer->args[n].bytes, &repairer->args[n].len))
        n++;
    return repair_classify(&repairer->command, settings->repairs, row, repairer->args, n);
}

/* --- reports --- */

static void publish(struct repairer *repairer)
{
    size_t n = repair_table_count(repairer->shown_of);

    pthread_mutex_lock(&repairer->lock);
    for (unsigned i = 0; i < n; i++) {
        repairer->shown[i].stats = *repair_watch_stats(repairer->watch, i);
        repairer->shown[i].learn = *repair_watch_learn(repairer->watch, i);
    }
    pthread_mutex_unlock(&repairer->lock);
}

/* Figures add up; what was learnt is that of the worker which learnt most. */
static void add(struct repair_seen *sum, struct repairer *repairer, const struct repair_table *table, unsigned rule)
{
    const struct repair_seen *seen;

    pthread_mutex_lock(&repairer->lock);
    if (repairer->shown_of == table) {
        seen = &repairer->shown[rule];
        if (!sum->stats.checks || seen->learn.gaps > sum->learn.gaps)
            sum->learn = seen->learn;
        repair_stats_add(&sum->stats, &seen->stats);
    }
    pthread_mutex_unlock(&repairer->lock);
}

static size_t report_rule(char text[REPAIR_REPORT_MAX], const struct crew *crew, const struct repair_table *table,
                          unsigned rule)
{
    struct repair_seen sum = {0};

    repair_learn_init(&sum.learn, repair_table_at(table, rule)->max);
    for (unsigned i = 0; i < crew->count; i++)
        add(&sum, crew->workers[i].repairer, table, rule);
    return repair_report(text, repair_table_at(table, rule), &sum.stats, &sum.learn);
}

void repairer_report(FILE *out, const struct crew *crew, const struct repair_table *table, const char *end)
{
    char text[REPAIR_REPORT_MAX];

    for (unsigned rule = 0; rule < repair_table_count(table); rule++) {
        size_t len = report_rule(text, crew, table, rule);

        for (const char *at = text, *line_end; (line_end = memchr(at, '\n', len)); at = line_end + 1) {
            fprintf(out, "%s%.*s%s", at == text ? "" : "  ", (int)(line_end - at), at, end);
            len -= (size_t)(line_end + 1 - at);
        }
    }
}

/* The first line names the rule, the others say what was found. */
static void log_rule(const struct repairer *repairer, unsigned rule)
{
    const struct repair_table *table = repairer->worker->settings->repairs;
    char text[REPAIR_REPORT_MAX];
    size_t len = report_rule(text, repairer->worker->crew, table, rule);

    for (char *at = text, *end; (end = memchr(at, '\n', len)); at = end + 1) {
        *end = '\0';
        if (at != text)
            log_write(LOG_INFO, "limit observed", LOG_TEXT("rule", repair_table_at(table, rule)->name),
                      LOG_TEXT("found", at));
        len -= (size_t)(end + 1 - at);
    }
}

/* Worker 0 speaks for all, while there is something new. */
static void log_sometimes(struct repairer *repairer)
{
    size_t n = repair_table_count(repairer->worker->settings->repairs);
    uint64_t acts = 0;

    if (repairer->worker->index || ++repairer->seconds < LOG_S)
        return;
    repairer->seconds = 0;
    for (unsigned i = 0; i < n; i++)
        acts += repair_watch_stats(repairer->watch, i)->acts + repair_watch_stats(repairer->watch, i)->born;
    if (acts == repairer->acts_logged)
        return;
    repairer->acts_logged = acts;
    for (unsigned i = 0; i < n; i++)
        log_rule(repairer, i);
}

void repairer_second(struct repairer *repairer)
{
    if (!repairer->watch)
        return;
    repair_watch_tick(repairer->watch, clock_now_us());
    publish(repairer);
    log_sometimes(repairer);
}
