/*
 * The command line: one file a subcommand, a table in main.c. Exit codes are those of the README.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct conf;

enum exit_code {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,
    EXIT_UNREACHABLE = 2, /* a backend does not answer */
    EXIT_NOT_MEANT = 3,   /* it answers, but is not the one that was meant, or refuses us */
    EXIT_BAD_USAGE = 64,
    EXIT_TIMED_OUT = 75,
    EXIT_BAD_CONFIG = 78,
};

/* What the subcommands share. Strings belong to argv. */
struct cli_options {
    const char *file;  /* -c FILE */
    const char **sets; /* --set section.key=value */
    unsigned n_sets;
    const char *expect;    /* --expect NAME */
    bool override_backend; /* --override backend */
    const char *goal;      /* --for GOAL; NULL when not given */
    uint64_t max_ms;       /* --max */
    const char *argument;  /* the one that is no flag */
    bool json, prometheus, origins, example, live, connect, once, help;
};

/* Which options a subcommand takes. */
enum {
    CLI_CONF = 1 << 0, /* -c, --set and --override */
    CLI_JSON = 1 << 1,
    CLI_ORIGINS = 1 << 2,
    CLI_EXAMPLE = 1 << 3,
    CLI_EXPECT = 1 << 4,
    CLI_WAIT = 1 << 5, /* --for and --max */
    CLI_LIVE = 1 << 6,
    CLI_CONNECT = 1 << 7,
    CLI_ARGUMENT = 1 << 8, /* one, and it is required */
    CLI_PROMETHEUS = 1 << 9,
    CLI_ONCE = 1 << 10,
};

/* Reads argv behind the subcommand's name; false after complaining on stderr. Free options->sets afterwards. */
bool cli_parse(struct cli_options *options, int argc, char **argv, int allowed);

/* NULL with every mistake, one a line, in *errors, which the caller frees. */
struct conf *cli_load_conf(const struct cli_options *options, char **errors);
/* NULL after printing every mistake to stderr. */
struct conf *cli_load(const struct cli_options *options);

void cli_usage(bool to_stdout);

int cli_run(const struct cli_options *options);
int cli_check(const struct cli_options *options);
int cli_config(const struct cli_options *options);
int cli_replay(const struct cli_options *options);
int cli_wait(const struct cli_options *options);
int cli_health(const struct cli_options *options);
int cli_stats(const struct cli_options *options);
int cli_top(const struct cli_options *options);
int cli_reload(const struct cli_options *options);
int cli_drain(const struct cli_options *options);
int cli_pin(const struct cli_options *options);
int cli_unpin(const struct cli_options *options);
int cli_version(const struct cli_options *options);

/* "libevent 2.1.12-stable hiredis 0.14.1 OpenSSL 3.0.19 ..." */
const char *cli_libraries(char *text, unsigned len);
