/*
 * Configuration: built-in defaults < file < RESPGATE_* environment < --set, merged into one immutable struct conf in
 * which every value knows where it came from and what it shadows. Knows no domain type: callers read values by section
 * and key.
 *
 * conf_load() reports every mistake at once and then builds nothing. The struct is read-only afterwards and may be
 * shared by threads; its creator frees it. The options themselves are rows of one table in conf/options.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct conf;

/* Where to read from. Nothing is kept: strings are copied. */
struct conf_sources {
    const char *file;        /* -c FILE; NULL: RESPGATE_CONFIG, else /etc/respgate/respgate.ini when it exists */
    char *const *environ_;   /* NULL-terminated NAME=value strings; may be NULL */
    const char *const *sets; /* "section.key=value" or "section.NAME.key=value", n_sets of them */
    size_t n_sets;
    const char *expect;    /* --expect NAME; NULL: RESPGATE_EXPECT, when it is set */
    bool override_backend; /* --override backend: layers may disagree about which Redis a backend is */
};

/*
 * NULL when anything is wrong; then *errors holds one line per mistake, each "origin: section.key: what is wrong, what
 * is allowed" where origin is file:line, "env NAME" or "--set", joined by '\n'. The caller frees *errors. Secrets are
 * never in it. On success *errors is NULL.
 */
struct conf *conf_load(const struct conf_sources *sources, char **errors);
void conf_free(struct conf *conf); /* zeroes secrets first */

/* COUNT/DURATION; zeros: the value is empty. */
struct conf_rate {
    int64_t count, period_ms;
};

/*
 * Values. `name` is the NAME of a named section ([backend NAME]), NULL for plain ones ([listen]). Durations are in
 * milliseconds, sizes in bytes, booleans 0 or 1, enumerations the index of the word in the option's list (or the word
 * itself as string), a file mode its bits (or its text as string). Asking for an option that the table does not have,
 * for a name that conf_name_at() does not tell, or by the wrong type, is a bug (assert). A key of a [backend] that
 * [tls] has too gives the value of [tls] while it is empty.
 */
const char *conf_string(const struct conf *conf, const char *section, const char *name,
                        const char *key); /* "" if unset */
int64_t conf_number(const struct conf *conf, const char *section, const char *name, const char *key);
struct conf_rate conf_rate(const struct conf *conf, const char *section, const char *name, const char *key);

/* Whether any layer above the defaults gave a value; false for a key that has its value from [tls]. */
bool conf_is_set(const struct conf *conf, const char *section, const char *name, const char *key);

/* The names of a named section in the order of the file, then of the environment, then of --set. */
size_t conf_names(const struct conf *conf, const char *section);
const char *conf_name_at(const struct conf *conf, const char *section, size_t i);

/*
 * Where a value came from: "default", "respgate.ini:12", "env RESPGATE_LISTEN_ADDRESS", "--set"; a URL that a url_env
 * names "env UPSTASH_REDIS_URL via respgate.ini:12". Never NULL.
 */
const char *conf_origin(const struct conf *conf, const char *section, const char *name, const char *key);

const char *conf_file(const struct conf *conf);        /* the file that was read; "" when none was */
const char *conf_digest(const struct conf *conf);      /* 16 hex digits over all effective values but secrets */
size_t conf_overrides(const struct conf *conf);        /* values set by more than one layer above the defaults */
const char *conf_overridden(const struct conf *conf);  /* their keys: "listen.workers backend.a.url"; "" when none */
const char *conf_ignored_env(const struct conf *conf); /* "REDIS_URL UPSTASH_REDIS_URL": names only; "" when none */
const char *conf_warnings(const struct conf *conf);    /* "origin: section.key: what", one a line; "" when none */

/* The backend that must be the one in use, and who said so ("--expect", "env RESPGATE_EXPECT"); "" when nobody did. */
const char *conf_expect(const struct conf *conf);
const char *conf_expect_origin(const struct conf *conf);

enum conf_format { CONF_TEXT, CONF_JSON };
/*
 * Every effective value, with `origins` where it came from and what it shadows (in JSON always); secrets as ***,
 * passwords in URLs too.
 */
void conf_print(const struct conf *conf, FILE *out, enum conf_format format, bool origins);
/* The annotated reference file, made from the option table: every key with its type, range, default and meaning. */
void conf_print_reference(FILE *out);
