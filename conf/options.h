/*
 * The option table: one row per option drives parsing, ranges, defaults, the environment's names, the reference file
 * and what `config` prints. Constant data; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_TEXT,     /* min..max bytes */
    OPTION_NUMBER,   /* min..max */
    OPTION_SIZE,     /* bytes, min..max */
    OPTION_DURATION, /* milliseconds, min..max */
    OPTION_RATE,     /* COUNT/DURATION, COUNT in min..max; may be empty; readable as text and by conf_rate() */
    OPTION_BOOL,
    OPTION_WORD,     /* one of `words` */
    OPTION_NAMES,    /* names separated by blanks, or one of `words` alone */
    OPTION_ADDRESS,  /* host:port; may be empty */
    OPTION_MODE,     /* permission bits in octal, min..max; readable as text and as number */
    OPTION_VARIABLE, /* the name of an environment variable; may be empty */
    OPTION_URL       /* see conf/url.h; always a secret */
};

struct option {
    const char *key;
    enum option_type type;
    bool secret;          /* never printed; may be given as KEY_file too */
    bool required;        /* in every instance of its section */
    const char *by_env;   /* the key that may name an environment variable holding the value instead */
    const char *inherits; /* a plain section: empty stands for its value of the same key */
    int64_t min, max;
    const char *words;   /* "none|password|backend" */
    const char *initial; /* the default as text; "" for none */
    const char *example; /* what the reference file shows when there is no default */
    const char *doc;
};

struct section {
    const char *name;
    bool named;            /* [name NAME] */
    const char *shorthand; /* the NAME meant when the environment or --set leave it out; NULL: they may not */
    const char *example;   /* a NAME for the reference file */
    const char *missing;   /* what to say when a section of this kind must exist and none does; NULL: need not */
    const char *doc;
    const struct option *options;
    size_t n_options;
};

extern const struct section *const conf_sections[];
extern const size_t conf_n_sections;

const struct section *section_find(const char *name, size_t len);                 /* NULL when unknown */
const struct option *option_find(const struct section *section, const char *key); /* NULL when unknown */

/* The option that KEY_file stands for; NULL when `key` is no such name. */
const struct option *option_find_file(const struct section *section, const char *key);

/* The nearest known name, or NULL when nothing is within an edit distance of 2. */
const char *section_nearest(const char *name);
const char *option_nearest(const struct section *section, const char *key);
