/*
 * What is said of backends and clients as text, one line each, by whoever is asked: RESPGATE BACKENDS and CLIENTS, and
 * the stats port. Any thread; what they show is a second old at most.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct backend;
struct crew;
struct distribution;
struct snapshot;

/* All that the workers timed of a backend. */
void backend_add_latency(struct distribution *sum, struct backend *backend);
/* The sum over the workers of what stands at `offset` of struct backend_meter. */
uint64_t backend_total(struct backend *backend, size_t offset);

/* `end` is what ends a line. */
void report_backends(FILE *out, const struct snapshot *snapshot, uint64_t now_ms, const char *end);
void report_clients(FILE *out, const struct crew *crew, uint64_t now_ms, const char *end);
