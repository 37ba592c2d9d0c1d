#include "proxy/health/journal.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "conf/text.h"

struct journal {
    pthread_mutex_t lock; /* guards the entries and `last` */
    char *entries[JOURNAL_KEPT];
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
    for (size_t i = 0; i < JOURNAL_KEPT; i++)
        free(journal->entries[i]);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

static void print_time(FILE *out)
{
    struct timespec now;
    struct tm utc;
    char text[40];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    fprintf(out, "\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static char *make_line(uint64_t number, enum log_level level, const char *event, const struct log_field *fields)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    char *line = NULL;
    size_t len;
    FILE *out = open_memstream(&line, &len);

    if (!out)
        return NULL;
    fprintf(out, "{\"n\":%llu,\"time\":", (unsigned long long)number);
    print_time(out);
    fprintf(out, ",\"level\":\"%s\",\"event\":", levels[level]);
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

void journal_fields(struct journal *journal, enum log_level level, const char *event, const struct log_field *fields)
{
    char **slot, *line;

    log_fields(level, event, fields);
    line = journal ? make_line(journal->last + 1, level, event, fields) : NULL;
    if (!line)
        return;
    pthread_mutex_lock(&journal->lock);
    slot = &journal->entries[++journal->last % JOURNAL_KEPT];
    free(*slot);
    *slot = line;
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
        fprintf(out, "%s%s", before, journal->entries[++after % JOURNAL_KEPT]);
        before = separator;
    }
    pthread_mutex_unlock(&journal->lock);
    return last;
}
