/*
 * The layers of configuration, each adding its settings to one store: the file, the environment, --set; and the rules
 * that hold over all of them. Every mistake is noted and reading goes on, so that all are told at once. Runs inside
 * conf_load().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "conf/store.h"

enum { MISTAKES_SHOWN = 100, INSTANCES_MAX = 1000 };

/* A variable that could mean a second thing, should an instance of that name exist. */
struct ambiguity {
    char *origin;
    const struct section *section;
    char *name;
    const struct option *option;
};

struct loader {
    struct conf *conf;
    char *mistakes; /* one a line; NULL while there are none */
    size_t n_mistakes;
    struct ambiguity *ambiguities;
    size_t n_ambiguities;
    bool override_backend; /* layers may disagree about which Redis a backend is */
};

/* "origin: what" */
void loader_mistake(struct loader *loader, const char *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The instance of that name, made when there is none. NULL when the name is bad (noted). */
struct instance *loader_instance(struct loader *loader, const struct section *section, const char *name,
                                 const char *origin);

/* One setting; from_file: `value` names a file that holds the value. */
void loader_set(struct loader *loader, enum layer layer, struct instance *instance, const struct option *option,
                bool from_file, const char *value, const char *origin);

/*
 * Whole file into memory; NULL on failure (errno). At most `max` bytes are read: *len > max says there are more. `mode`
 * may be NULL.
 */
char *read_whole(const char *path, size_t max, size_t *len, mode_t *mode);

/* asked_by: who named the path ("-c", "env RESPGATE_CONFIG"); NULL: it is the usual place and need not exist. */
void layer_file(struct loader *loader, const char *path, const char *asked_by);
void layer_env(struct loader *loader, char *const *environ_);
void layer_sets(struct loader *loader, const char *const *sets, size_t n_sets);
void layer_foreign(struct loader *loader, char *const *environ_); /* what url_env names, after the other layers */
void loader_check(struct loader *loader);                         /* after all layers */
void check_backends(struct loader *loader);                       /* the part of it that compares backends */
void check_limits(struct loader *loader);                         /* the part of it that looks at rules */

const char *env_value(char *const *environ_, const char *name); /* NULL when it is not set */
/* Names of Redis-looking variables that are not read; the caller frees it. */
char *env_ignored(const struct conf *conf, char *const *environ_);
