/*
 * The command line: one file a subcommand, a table of them in table.c. Exit codes are those of the README.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct build;
struct cli_subcommand;
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
    const char *expect;   /* --expect NAME */
    const char *override; /* --override backend; NULL when not given */
    const char *goal;     /* --for GOAL; NULL when not given */
    uint64_t max_ms;      /* --max */
    const char *argument; /* the one that is no flag */
    bool json, prometheus, origins, example, live, connect, once, help;
};

/* Reads argv behind the subcommand's name; false after complaining on stderr. Free options->sets afterwards. */
bool cli_parse(struct cli_options *options, const struct cli_subcommand *subcommand, int argc, char **argv);

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
int cli_completion(const struct cli_options *options);

/* What this program is. */
extern const struct build cli_build;
