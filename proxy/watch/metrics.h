/*
 * All that is counted, as metrics. The series are fixed by the configuration and by closed lists, and each is there
 * from the start; no label holds anything that a client or a key is called. Main's thread.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "proxy/watch/metric_out.h"

struct scene;

void metrics_write(const struct scene *scene, FILE *out, enum metric_format format);

/* --- metrics_client.c, metrics_request.c, metrics_backend.c, metrics_connect.c, metrics_check.c, metrics_process.c ---
 */

void metrics_write_clients(const struct scene *scene, struct metric_out *out);
void metrics_write_requests(const struct scene *scene, struct metric_out *out);
void metrics_write_connects(const struct scene *scene, struct metric_out *out);
void metrics_write_checks(const struct scene *scene, struct metric_out *out);
void metrics_write_limits(const struct scene *scene, struct metric_out *out); /* metrics_limits.c */
void metrics_write_backends(const struct scene *scene, struct metric_out *out);
void metrics_write_process(struct metric_out *out, int64_t started_ms);
