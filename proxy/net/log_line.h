/*
 * Reads back what log.c wrote: one field of one line, logfmt or JSON, with its quoting undone. Pure; for subcommands
 * that work on a log. The rules of quoting are put_quoted() and is_bare_word() in log.c.
 */
#pragma once

#include <stddef.h>

enum log_find { LOG_FOUND, LOG_ABSENT, LOG_MALFORMED };

/*
 * Copies the value of the first field `key` to `value`. The whole `line` (without its line end) must be as the log
 * writes it, and the value must fit, else LOG_MALFORMED.
 */
enum log_find log_line_find(const char *line, const char *key, char *value, size_t len);
