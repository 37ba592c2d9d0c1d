#include "proxy/flow/slowlog.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/text.h"
#include "proxy/flow/client.h"

enum { NAME_ROOM = 64 };

struct slow_entry {
    struct timespec at;
    uint64_t client;
    uint32_t total_ms, waited_ms; /* waited: for a connection */
    const struct command *command;
    const char *outcome;
    char name[NAME_ROOM], backend[NAME_ROOM], key[CLIENT_KEY_LEN + 1];
};

struct slowlog {
    pthread_mutex_t lock; /* guards all below */
    uint64_t noted;       /* in all */
    struct slow_entry entries[SLOWLOG_KEPT];
};

struct slowlog *slowlog_new(void)
{
    struct slowlog *log = calloc(1, sizeof(*log));

    if (log)
        pthread_mutex_init(&log->lock, NULL);
    return log;
}

void slowlog_free(struct slowlog *log)
{
    if (!log)
        return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

/* The clock of requests begins anew when their lane is connected. */
static void set_times(struct slow_entry *entry, struct worker *worker, const struct request *request)
{
    uint32_t there_ms = (uint32_t)loop_now_ms(&worker->loop) - request->sent_ms;

    clock_gettime(CLOCK_REALTIME, &entry->at);
    entry->total_ms = (loop_now_us(&worker->loop) - request->given_us) / 1000;
    if (entry->total_ms < there_ms)
        entry->total_ms = there_ms;
    entry->waited_ms = entry->total_ms - there_ms;
}

void slowlog_note(const struct client *client, const struct lane *lane, const struct request *request,
                  const char *outcome)
{
    struct worker *worker = client->worker;
    struct slowlog *log = worker->slowlog;
    struct slow_entry entry = {.client = client->id, .outcome = outcome};

    set_times(&entry, worker, request);
    entry.command = request->keyed ? client->key_command : NULL;
    snprintf(entry.name, sizeof(entry.name), "%s", client->names && client->names->name ? client->names->name : "");
    snprintf(entry.backend, sizeof(entry.backend), "%s", lane->pool->key.backend->name);
    if (request->keyed)
        memcpy(entry.key, client->key, client->key_len);
    count(worker, slow_requests);
    pthread_mutex_lock(&log->lock);
    log->entries[log->noted++ % SLOWLOG_KEPT] = entry;
    pthread_mutex_unlock(&log->lock);
}

static void print_entry(FILE *out, const struct slow_entry *entry, const char *end)
{
    struct tm utc;

    gmtime_r(&entry->at.tv_sec, &utc);
    fprintf(out, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"ms\":%u,\"waited_ms\":%u,\"outcome\":\"%s\",",
            utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
            entry->at.tv_nsec / 1000000, entry->total_ms, entry->waited_ms, entry->outcome);
    fprintf(out, "\"client\":%llu,\"name\":", (unsigned long long)entry->client);
    text_write_json(out, entry->name);
    fputs(",\"command\":", out);
    text_write_json(out, entry->command ? entry->command->name : "");
    fputs(",\"key\":", out);
    text_write_json(out, entry->key);
    fputs(",\"backend\":", out);
    text_write_json(out, entry->backend);
    fprintf(out, "}%s", end);
}

void slowlog_print(const struct crew *crew, FILE *out, const char *end)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct slowlog *log = crew->workers[i].slowlog;
        uint64_t first;
        pthread_mutex_lock(&log->lock);
        first = log->noted > SLOWLOG_KEPT ? log->noted - SLOWLOG_KEPT : 0;
        for (uint64_t at = first; at < log->noted; at++)
            print_entry(out, &log->entries[at % SLOWLOG_KEPT], end);
        pthread_mutex_unlock(&log->lock);
    }
}
