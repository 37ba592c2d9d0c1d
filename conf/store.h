/*
 * The inside of struct conf: for every option of every section instance one cell, in it what each layer said. Built by
 * one thread inside conf_load(), read-only afterwards.
 *
 *   conf > instance (listen; backend docker; user app) > cell (url, connections, ...) > setting per layer
 *
 * The effective setting of a cell is its highest good one; the default is always there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/options.h"

enum layer { LAYER_DEFAULT, LAYER_FILE, LAYER_ENV, LAYER_SET, LAYERS };

struct setting {
    char *origin; /* NULL: this layer says nothing */
    char *text;   /* NULL while origin stands: what it said was wrong */
    int64_t number;
};

struct cell {
    const struct option *option;
    struct setting by[LAYERS];
};

struct instance {
    const struct section *section;
    char *name;         /* NULL for plain sections */
    char *origin;       /* where it was first mentioned; NULL for plain sections */
    unsigned file_line; /* of its header in the file; 0: none */
    struct cell *cells;
};

struct conf {
    struct instance *instances;
    size_t n_instances;
    char *file;
    char *ignored_env;
    char *warnings;               /* NULL while there are none */
    char *expect, *expect_origin; /* NULL: nothing is expected */
    char *overridden;
    size_t overrides;
    char digest[17];
};

struct conf *store_new(void); /* with every plain section at its defaults */

/* NULL when there is none. */
struct instance *store_find(const struct conf *conf, const struct section *section, const char *name);
struct instance *store_add(struct conf *conf, const struct section *section, const char *name, const char *origin);

struct cell *instance_cell(const struct instance *instance, const struct option *option);
const struct cell *plain_cell(const struct conf *conf, const char *section, const char *key); /* of a plain section */
const struct setting *cell_effective(const struct cell *cell);
/* The same, with an inheriting cell that is empty replaced by the one of the plain section that it looks to. */
const struct cell *cell_in_force(const struct conf *conf, const struct cell *cell);
bool cell_given(const struct cell *cell); /* by any layer above the defaults, rightly or wrongly */
bool cell_bad(const struct cell *cell);   /* some layer said something wrong */

/* "listen.address", "backend.docker.url"; the caller frees it. */
char *cell_key(const struct instance *instance, const struct option *option);

/* Calls `visit` for every cell: sections in the order of the table, instances in the order they were first mentioned.
 */
void store_each(const struct conf *conf, void (*visit)(void *context, const char *key, const struct cell *cell),
                void *context);

/* 16 hex digits over the effective values (FNV-1a, 64 bits), secrets left out and URLs redacted. */
void store_digest(const struct conf *conf, char out[17]);
