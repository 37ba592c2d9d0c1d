/*
 * The log: one write(2) per line to standard error, logfmt or JSON, nothing is ever buffered. Any thread may write.
 *
 * A line is an event ("client closed") and fields. Bytes from outside (names, error texts) go through the field
 * encoder, which escapes control bytes, so no peer can forge a line. Each event writes at most 10 lines a second; what
 * is left out is counted and reported by the next line of that event (suppressed=N).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *key; /* NULL ends the list */
    const char *text;
    int64_t number; /* used when text is NULL */
};

#define LOG_TEXT(k, v) ((struct log_field){.key = (k), .text = (v)})
#define LOG_NUM(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v)})
#define LOG_END ((struct log_field){.key = 0})

/* log_write(LOG_INFO, "client closed", LOG_NUM("client", 17), LOG_TEXT("reason", "idle")); `event` is a literal. */
#define log_write(level, event, ...) log_fields((level), (event), (const struct log_field[]){__VA_ARGS__, LOG_END})

void log_setup(enum log_level level, bool json);
bool log_enabled(enum log_level level);
/* Lines that were left out, or could not be written, since the start. */
uint64_t log_dropped(void);
/*
 * The last line. What was asked for is small, so the machine has nothing left, and no promise to a client can be kept:
 * the process ends, its clients see their connections close, and whoever started it may start it anew.
 */
void end_out_of_memory(size_t len) __attribute__((noreturn));
void log_fields(enum log_level level, const char *event, const struct log_field *fields);
