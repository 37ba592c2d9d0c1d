/*
 * Lines of a configuration file: inih splits key and value, this reader stands in front of it, counts lines and turns
 * everything that inih would silently mangle into a mistake: over-long lines, NUL, carriage returns, indentation, a
 * comment after a value, text after ']', names that would be cut. A line with a mistake never reaches inih. No state is
 * kept; strings are valid during the call only. Not for two threads at one time (inih keeps its limits in globals).
 */
#pragma once

#include <stddef.h>

enum { READER_NAME_MAX = 49 }; /* inih cuts section and key names after this many bytes */

struct reader_events {
    void *context;
    void (*on_section)(void *context, unsigned line,
                       const char *header); /* what stands between [ and ]; NULL: unusable */
    void (*on_pair)(void *context, unsigned line, const char *key, const char *value);
    void (*on_mistake)(void *context, unsigned line, const char *what);
};

void reader_run(const char *bytes, size_t len, const struct reader_events *events);

size_t reader_line_max(void); /* bytes of the longest line that is taken */
