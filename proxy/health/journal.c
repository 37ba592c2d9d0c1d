#include "proxy/health/journal.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/text.h"

struct journal {
    pthread_mutex_t lock; /* guards the entries and `last` */
    struct entry {
        char *json, *text;
    } entries[JOURNAL_KEPT];
    uint64_t last;
    journal_on_entry *on_entry;
    void *arg;
};

struct journal *journal_new(void)
{
    struct journal *journal = calloc(1, sizeof(*journal));

    if (journal)
        pthread_mutex_init(&journal->lock, NULL);
    return journal;
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < JOURNAL_KEPT; i++) {
        free(journal->entries[i].json);
        free(journal->entries[i].text);
    }
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

static void print_time(FILE *out, const struct timespec *now, bool with_date)
{
    struct tm utc;

    gmtime_r(&now->tv_sec, &utc);
    if (with_date)
        fprintf(out, "%04d-%02d-%02dT", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
    fprintf(out, "%02d:%02d:%02d", utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static char *make_json(uint64_t number, const struct timespec *now, enum log_level level, const char *event,
                       const struct log_field *fields)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    char *line = NULL;
    size_t len;
    FILE *out = open_memstream(&line, &len);

    if (!out)
        return NULL;
    fprintf(out, "{\"n\":%llu,\"time\":\"", (unsigned long long)number);
    print_time(out, now, true);
    fprintf(out, ".%03ldZ\",\"level\":\"%s\",\"event\":", now->tv_nsec / 1000000, levels[level]);
    text_write_json(out, event);
    for (; fields->key; fields++) {
        fprintf(out, ",\"%s\":", fields->key);
        if (fields->text)
            text_write_json(out, fields->text);
        else
            fprintf(out, "%lld", (long long)fields->number);
    }
    fputc('}', out);
    fclose(out);
    return line;
}

static char *make_text(const struct timespec *now, const char *event, const struct log_field *fields)
{
    char *line = NULL;
    size_t len;
    FILE *out = open_memstream(&line, &len);

    if (!out)
        return NULL;
    print_time(out, now, false);
    fprintf(out, " %s", event);
    for (; fields->key; fields++) {
        if (!strcmp(fields->key, "url") || (fields->text && !fields->text[0]))
            continue;
        fprintf(out, " %s=", fields->key);
        if (fields->text)
            fputs(fields->text, out);
        else
            fprintf(out, "%lld", (long long)fields->number);
    }
    fclose(out);
    return line;
}

void journal_fields(struct journal *journal, enum log_level level, const char *event, const struct log_field *fields)
{
    struct entry *slot, entry;
    struct timespec now;

    log_fields(level, event, fields);
    if (!journal)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    entry.json = make_json(journal->last + 1, &now, level, event, fields);
    entry.text = make_text(&now, event, fields);
    if (!entry.json || !entry.text) {
        free(entry.json);
        free(entry.text);
        return;
    }
    pthread_mutex_lock(&journal->lock);
    slot = &journal->entries[++journal->last % JOURNAL_KEPT];
    free(slot->json);
    free(slot->text);
    *slot = entry;
    pthread_mutex_unlock(&journal->lock);
    if (journal->on_entry)
        journal->on_entry(journal->arg);
}

void journal_listen(struct journal *journal, journal_on_entry *on_entry, void *arg)
{
    journal->on_entry = on_entry;
    journal->arg = arg;
}

uint64_t journal_last(struct journal *journal)
{
    uint64_t last;

    pthread_mutex_lock(&journal->lock);
    last = journal->last;
    pthread_mutex_unlock(&journal->lock);
    return last;
}

uint64_t journal_print(struct journal *journal, FILE *out, uint64_t after, const char *separator)
{
    const char *before = "";
    uint64_t last;

    pthread_mutex_lock(&journal->lock);
    last = journal->last;
    if (last > JOURNAL_KEPT && after < last - JOURNAL_KEPT)
        after = last - JOURNAL_KEPT;
    while (after < last) {
        fprintf(out, "%s%s", before, journal->entries[++after % JOURNAL_KEPT].json);
        before = separator;
    }
    pthread_mutex_unlock(&journal->lock);
    return last;
}

void journal_print_text(struct journal *journal, FILE *out, uint64_t n)
{
    pthread_mutex_lock(&journal->lock);
    if (n > journal->last)
        n = journal->last;
    for (uint64_t at = journal->last - n; at < journal->last;)
        fprintf(out, "%s\n", journal->entries[++at % JOURNAL_KEPT].text);
    pthread_mutex_unlock(&journal->lock);
}
