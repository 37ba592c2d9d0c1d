/*
 * Values out of a backend's INFO, and its clock out of INFO or TIME. Pure functions of NUL-terminated text. Rule: the
 * Redis documentation of INFO and TIME.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The value of "key:value" (`key` with its colon) in an INFO reply; "" when it has none. Cut at `len`. */
void info_value(const char *info, const char *key, char *value, size_t len);

#define CLOCK_UNTOLD INT64_C(-1)

/* Microseconds since 1970; CLOCK_UNTOLD when the field is not there or no number. */
int64_t clock_of_info(const char *info);
int64_t clock_of_time(const char *seconds, const char *microseconds);
