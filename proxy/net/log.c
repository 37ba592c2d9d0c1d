#include "proxy/net/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* FIELD_MIN_LEN: with less room than its key and this, a field is left out. */
enum { LINE_MAX_LEN = 4096, FIELD_MIN_LEN = 40, EVENT_SLOTS = 64, LINES_PER_SECOND = 10 };

struct line {
    char bytes[LINE_MAX_LEN];
    size_t len;
    bool json;
};

/* How often an event was written in the current second. Events are literals, so their addresses name them. */
struct event_rate {
    const char *event;
    time_t second;
    unsigned written;
    unsigned suppressed;
};

static _Atomic enum log_level threshold = LOG_INFO; /* written by main's thread, at start and on reload */
static atomic_bool use_json;                        /* likewise */
static pthread_mutex_t rates_lock = PTHREAD_MUTEX_INITIALIZER;
static struct event_rate rates[EVENT_SLOTS];
static _Atomic uint64_t dropped; /* lines left out, or not taken by who reads the log; written by all */

void log_setup(enum log_level level, bool json)
{
    threshold = level;
    use_json = json;
}

bool log_enabled(enum log_level level)
{
    return level <= threshold;
}

/* False when the event has used up its second; *suppressed is what earlier seconds left out. */
static bool may_write(const char *event, time_t second, unsigned *suppressed)
{
    bool yes = true;
    size_t first = ((uintptr_t)event >> 4) % EVENT_SLOTS;

    *suppressed = 0;
    pthread_mutex_lock(&rates_lock);
    for (size_t i = 0; i < EVENT_SLOTS; i++) {
        struct event_rate *rate = &rates[(first + i) % EVENT_SLOTS];
        if (rate->event && rate->event != event)
            continue;
        rate->event = event;
        if (rate->second != second) {
            rate->second = second;
            rate->written = 0;
            *suppressed = rate->suppressed;
            rate->suppressed = 0;
        }
        yes = rate->written < LINES_PER_SECOND;
        if (yes)
            rate->written++;
        else
            rate->suppressed++;
        break;
    }
    pthread_mutex_unlock(&rates_lock);
    return yes;
}

/* The last bytes are kept for the closing of a JSON object and the line end. */
static size_t room(const struct line *line)
{
    return sizeof(line->bytes) - 8 - line->len;
}

static void put(struct line *line, const char *bytes, size_t len)
{
    if (len > room(line))
        len = room(line);
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Cut where the line is full, but never within an escape, and always closed. */
static void put_quoted(struct line *line, const char *text)
{
    char escaped[8];

    put(line, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)text; *p && room(line) > sizeof(escaped); p++) {
        if (*p == '"' || *p == '\\')
            put(line, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\%c", *p));
        else if (*p < 0x20 || *p >= 0x7f)
            put(line, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", *p));
        else
            put(line, (const char *)p, 1);
    }
    put(line, "\"", 1);
}

static bool is_bare_word(const char *text)
{
    if (!*text)
        return false;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '=' || *p == '\\')
            return false;
    return true;
}

static void put_field(struct line *line, const struct log_field *field)
{
    char number[24];

    if (room(line) < strlen(field->key) + FIELD_MIN_LEN)
        return;
    if (line->json) {
        put(line, line->len > 1 ? "," : "", line->len > 1);
        put_quoted(line, field->key);
        put(line, ":", 1);
    } else {
        put(line, line->len ? " " : "", line->len > 0);
        put_text(line, field->key);
        put(line, "=", 1);
    }
    if (!field->text)
        put(line, number, (size_t)snprintf(number, sizeof(number), "%lld", (long long)field->number));
    else if (!line->json && is_bare_word(field->text))
        put_text(line, field->text);
    else
        put_quoted(line, field->text);
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    struct line line = {.json = use_json};
    struct timespec now;
    struct tm utc;
    char time_text[40], stamp[64];
    unsigned suppressed;

    if (!log_enabled(level))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!may_write(event, now.tv_sec, &suppressed)) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        return;
    }
    gmtime_r(&now.tv_sec, &utc);
    strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp, sizeof(stamp), "%s.%03ldZ", time_text, now.tv_nsec / 1000000);

    if (line.json)
        put(&line, "{", 1);
    put_field(&line, &LOG_TEXT("time", stamp));
    put_field(&line, &LOG_TEXT("level", names[level]));
    put_field(&line, &LOG_TEXT("msg", event));
    for (; fields->key; fields++)
        put_field(&line, fields);
    if (suppressed)
        put_field(&line, &LOG_NUM("suppressed", suppressed));
    if (line.json)
        line.bytes[line.len++] = '}';
    line.bytes[line.len++] = '\n';
    if (write(STDERR_FILENO, line.bytes, line.len) != (ssize_t)line.len)
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

void end_out_of_memory(size_t len)
{
    log_write(LOG_ERROR, "out of memory", LOG_NUM("bytes", len));
    _exit(EXIT_FAILURE); /* from any thread, so without what others may be in the midst of */
}
