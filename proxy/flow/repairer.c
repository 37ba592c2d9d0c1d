#include "proxy/flow/repairer.h"

#include <stdlib.h>
#include <string.h>

#include "limiter/repair_report.h"
#include "protocol/command.h"
#include "protocol/resp.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair_book.h"
#include "proxy/flow/worker.h"
#include "proxy/net/log.h"

enum {
    ARGS_FIRST = 64,
    LOG_S = 60,
};

static void out_of_memory(size_t bytes)
{
    log_write(LOG_ERROR, "out of memory", LOG_NUM("bytes", bytes));
    abort();
}

/* --- life --- */

struct repairer *repairer_new(struct worker *worker)
{
    struct repairer *repairer = calloc(1, sizeof(*repairer));

    if (!repairer)
        return NULL;
    repairer->worker = worker;
    repairer->seed = worker_random(worker);
    return repairer;
}

void repairer_free(struct repairer *repairer)
{
    if (!repairer)
        return;
    free(repairer->args);
    free(repairer);
}

void repairer_reconfigure(struct repairer *repairer)
{
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

static size_t report_rule(char text[REPAIR_REPORT_MAX], const struct settings *settings, unsigned rule)
{
    struct repair_stats stats;
    struct repair_learn learn;

    repair_book_look(settings->repair_book, rule, &stats, &learn);
    return repair_report(text, repair_table_at(settings->repairs, rule), &stats, &learn);
}

void repairer_report(FILE *out, const struct settings *settings, const char *end)
{
    char text[REPAIR_REPORT_MAX];

    for (unsigned rule = 0; rule < repair_table_count(settings->repairs); rule++) {
        size_t len = report_rule(text, settings, rule);

        for (const char *at = text, *line_end; (line_end = memchr(at, '\n', len)); at = line_end + 1) {
            fprintf(out, "%s%.*s%s", at == text ? "" : "  ", (int)(line_end - at), at, end);
            len -= (size_t)(line_end + 1 - at);
        }
    }
}

/* The first line names the rule, the others say what was found. */
static void log_rule(const struct repairer *repairer, unsigned rule)
{
    const struct settings *settings = repairer->worker->settings;
    char text[REPAIR_REPORT_MAX];
    size_t len = report_rule(text, settings, rule);

    for (char *at = text, *end; (end = memchr(at, '\n', len)); at = end + 1) {
        *end = '\0';
        if (at != text)
            log_write(LOG_INFO, "limit observed", LOG_TEXT("rule", repair_table_at(settings->repairs, rule)->name),
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
    for (unsigned i = 0; i < n; i++) {
        struct repair_stats stats;

        repair_book_look(repairer->worker->settings->repair_book, i, &stats, NULL);
        acts += stats.acts + stats.born;
    }
    if (acts == repairer->acts_logged)
        return;
    repairer->acts_logged = acts;
    for (unsigned i = 0; i < n; i++)
        log_rule(repairer, i);
}

void repairer_second(struct repairer *repairer)
{
    if (!repairer->worker->settings->repair_book)
        return;
    repair_book_tick(repairer->worker->settings->repair_book, clock_now_us());
    log_sometimes(repairer);
}
