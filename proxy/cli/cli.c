#include "proxy/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

extern char **environ;

void cli_usage(bool to_stdout)
{
    fputs(
        "usage: respgate run     [-c FILE] [--set section.key=value]... [--expect NAME] [--override backend]\n"
        "                                                                 serve, in the foreground\n"
        "       respgate config  [-c FILE] [--set ...] [--origins] [--json]\n"
        "                                                                 effective settings and where they come from\n"
        "       respgate config  --example                                the annotated reference file\n"
        "       respgate replay  FILE                                     make the decisions of a log again; - is "
        "stdin\n"
        "       respgate version\n"
        "\n"
        "RESPGATE_BACKEND_URL=redis://127.0.0.1:6379/0 respgate run\n"
        "       listens on 127.0.0.1:6380; every setting can also be RESPGATE_<SECTION>_<KEY>\n"
        "\n"
        "--expect NAME (or RESPGATE_EXPECT): serve only when backend NAME is the one in use\n"
        "--override backend: let the environment or --set name another backend than the file does\n"
        "\n"
        "exit codes: 0 fine, 1 failed, 64 usage, 75 timed out, 78 configuration\n",
        to_stdout ? stdout : stderr);
}

static bool is_flag(const char *arg, const char *name, bool allowed)
{
    return allowed && !strcmp(arg, name);
}

/* `-c FILE` and `--set X`: the value, or NULL when it is missing. */
static const char *value_of(int argc, char **argv, int *i)
{
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static bool complain(const char *what, const char *arg)
{
    fprintf(stderr, "respgate: %s: %s\n", what, arg);
    cli_usage(false);
    return false;
}

bool cli_parse(struct cli_options *options, int argc, char **argv, int allowed)
{
    memset(options, 0, sizeof(*options));
    options->sets = calloc((size_t)argc + 1, sizeof(*options->sets));
    if (!options->sets)
        return complain("out of memory", "");
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        const char *value = NULL;
        if (!strcmp(arg, "-h") || !strcmp(arg, "--help"))
            options->help = true;
        else if (is_flag(arg, "-c", allowed & CLI_CONF) && (value = value_of(argc, argv, &i)))
            options->file = value;
        else if (is_flag(arg, "--set", allowed & CLI_CONF) && (value = value_of(argc, argv, &i)))
            options->sets[options->n_sets++] = value;
        else if (is_flag(arg, "--override", allowed & CLI_CONF) && (value = value_of(argc, argv, &i)) &&
                 !strcmp(value, "backend"))
            options->override_backend = true;
        else if (is_flag(arg, "--expect", allowed & CLI_EXPECT) && (value = value_of(argc, argv, &i)))
            options->expect = value;
        else if (is_flag(arg, "--json", allowed & CLI_JSON))
            options->json = true;
        else if (is_flag(arg, "--origins", allowed & CLI_ORIGINS))
            options->origins = true;
        else if (is_flag(arg, "--example", allowed & CLI_EXAMPLE))
            options->example = true;
        else if ((allowed & CLI_INPUT) && !options->input && (*arg != '-' || !arg[1]))
            options->input = arg;
        else
            return complain("unknown or incomplete argument", arg);
    }
    if ((allowed & CLI_INPUT) && !options->input && !options->help)
        return complain("missing argument", "FILE");
    return true;
}

struct conf *cli_load(const struct cli_options *options)
{
    struct conf_sources sources = {
        .file = options->file,
        .environ_ = environ,
        .sets = options->sets,
        .n_sets = options->n_sets,
        .expect = options->expect,
        .override_backend = options->override_backend,
    };
    char *errors = NULL;
    struct conf *conf = conf_load(&sources, &errors);

    if (!conf)
        fprintf(stderr, "%s%s", errors ? errors : "out of memory", "\n");
    free(errors);
    return conf;
}
