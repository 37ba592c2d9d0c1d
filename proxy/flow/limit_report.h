/*
 * What is said of limits as text, a line each: RESPGATE LIMITS and LEASES, and the stats port. Names of rules, numbers
 * and patterns of the configuration only: no key, token or client. Any thread that has the settings; a second old at
 * most.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct limit_entry;
struct settings;

/* "100/60s, burst 20", "max 5, lease 60s", "key:concurrent:*, max 5". */
void limit_write_terms(FILE *out, const struct limit_entry *entry);
/* "deny", "shadow", "enforce" or "observe". */
const char *limit_mode_name(const struct limit_entry *entry);

/* `end` is what ends a line. */
void report_limits(FILE *out, const struct settings *settings, uint64_t now_ms, const char *end);
/* Places of semaphores, as far as they were granted through this process. */
void report_leases(FILE *out, const struct settings *settings, uint64_t now_ms, const char *end);
