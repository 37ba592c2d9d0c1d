/*
 * What is said of backends and clients as text, one line each, by whoever is asked: RESPGATE BACKENDS and CLIENTS, and
 * the stats port. Any thread; what they show is a second old at most.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct crew;
struct snapshot;

/* `end` is what ends a line. */
void report_backends(FILE *out, const struct snapshot *snapshot, uint64_t now_ms, const char *end);
void report_clients(FILE *out, const struct crew *crew, uint64_t now_ms, const char *end);
