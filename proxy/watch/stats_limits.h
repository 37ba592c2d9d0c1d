/*
 * "limits":[...] of /stats.json: what each limit is and what it has done. Main's thread.
 */
#pragma once

#include <stdio.h>

struct scene;

void stats_write_limits(const struct scene *scene, FILE *out);
