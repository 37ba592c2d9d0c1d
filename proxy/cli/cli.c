#include "proxy/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/value.h"
#include "proxy/cli/table.h"

extern char **environ;

enum { WAIT_DEFAULT_MS = 30000 };

static bool complain(const char *what, const char *arg)
{
    fprintf(stderr, "respgate: %s: %s\n", what, arg);
    cli_usage(false);
    return false;
}

static bool set_max(uint64_t *max_ms, const char *value)
{
    static const struct option row = {.key = "--max", .type = OPTION_DURATION, .min = 1, .max = 24 * 3600 * 1000};
    char why[VALUE_WHY_LEN];
    int64_t ms;

    if (!value_parse(&row, value, &ms, why))
        return false;
    *max_ms = (uint64_t)ms;
    return true;
}

/* What a flag says; `value` is NULL for a switch. False when that is nothing it can stand for. */
static bool take_flag(struct cli_options *options, const struct cli_flag *flag, const char *value)
{
    void *at = (char *)options + flag->at;

    switch (flag->kind) {
    case FLAG_SWITCH:
        *(bool *)at = true;
        return true;
    case FLAG_TEXT:
        *(const char **)at = value;
        return true;
    case FLAG_SETTING:
        (*(const char ***)at)[options->n_sets++] = value;
        return true;
    case FLAG_DURATION:
        return set_max(at, value);
    }
    return false;
}

static const struct cli_flag *find_flag(const struct cli_subcommand *subcommand, const char *name)
{
    for (size_t i = 0; i < cli_n_flags; i++)
        if ((cli_flags[i].allowed & (subcommand->allowed | CLI_HELP)) && !strcmp(cli_flags[i].name, name))
            return &cli_flags[i];
    return NULL;
}

/* False when the subcommand takes none, has one, or it looks like a flag. */
static bool take_argument(struct cli_options *options, const struct cli_subcommand *subcommand, const char *text)
{
    if (!subcommand->argument || options->argument || (text[0] == '-' && text[1]))
        return false;
    options->argument = text;
    return true;
}

/* How many elements of argv were taken; 0 when they say nothing that can be understood. */
static int take(struct cli_options *options, const struct cli_subcommand *subcommand, int argc, char **argv)
{
    const struct cli_flag *flag = find_flag(subcommand, argv[0]);

    if (!flag)
        return take_argument(options, subcommand, argv[0]);
    if (!flag->value)
        return take_flag(options, flag, NULL);
    return argc > 1 && take_flag(options, flag, argv[1]) ? 2 : 0;
}

bool cli_parse(struct cli_options *options, const struct cli_subcommand *subcommand, int argc, char **argv)
{
    int taken;

    *options = (struct cli_options){.max_ms = WAIT_DEFAULT_MS};
    options->sets = calloc((size_t)argc + 1, sizeof(*options->sets));
    if (!options->sets)
        return complain("out of memory", "");
    for (int i = 0; i < argc; i += taken) {
        taken = take(options, subcommand, argc - i, argv + i);
        if (!taken)
            return complain("unknown or incomplete argument", argv[i]);
    }
    if (options->override && strcmp(options->override, "backend") != 0)
        return complain("only the backend can be overridden, not", options->override);
    if (subcommand->argument && !options->argument && !options->help)
        return complain("missing argument", subcommand->argument);
    return true;
}

struct conf *cli_load_conf(const struct cli_options *options, char **errors)
{
    struct conf_sources sources = {
        .file = options->file,
        .environ_ = environ,
        .sets = options->sets,
        .n_sets = options->n_sets,
        .expect = options->expect,
        .override_backend = options->override != NULL,
    };

    return conf_load(&sources, errors);
}

struct conf *cli_load(const struct cli_options *options)
{
    char *errors = NULL;
    struct conf *conf = cli_load_conf(options, &errors);

    if (!conf)
        fprintf(stderr, "%s%s", errors ? errors : "out of memory", "\n");
    free(errors);
    return conf;
}
