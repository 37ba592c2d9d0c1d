#include "proxy/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/value.h"

extern char **environ;

enum { WAIT_DEFAULT_MS = 30000 };

void cli_usage(bool to_stdout)
{
    fputs(
        "usage: respgate run     [-c FILE] [--set section.key=value]... [--expect NAME] [--override backend]\n"
        "                                                                 serve, in the foreground\n"
        "       respgate check   [-c FILE] [--connect] [--json]           read the configuration; try every backend\n"
        "       respgate config  [-c FILE] [--set ...] [--origins] [--json]\n"
        "                                                                 effective settings and where they come from\n"
        "       respgate config  --example                                the annotated reference file\n"
        "       respgate wait    [--for ready|live|backend=NAME] [--max 30s]\n"
        "                                                                 until a running respgate is that far\n"
        "       respgate health  [--live]                                 one look at a running respgate\n"
        "       respgate stats   [--json|--prometheus]                    what a running respgate counts, once\n"
        "       respgate top     [--once]                                 the same on a terminal, again each second\n"
        "       respgate reload | drain | pin NAME | unpin                orders to a running respgate, over its stats "
        "port\n"
        "       respgate replay  FILE                                     repeat the decisions in a log; - is stdin\n"
        "       respgate version\n"
        "\n"
        "RESPGATE_BACKEND_URL=redis://127.0.0.1:6379/0 respgate run\n"
        "       listens on 127.0.0.1:6380; every setting can also be RESPGATE_<SECTION>_<KEY>\n"
        "\n"
        "--expect NAME (or RESPGATE_EXPECT): serve only when backend NAME is the one in use\n"
        "--override backend: let the environment or --set name another backend than the file does\n"
        "\n"
        "exit codes: 0 fine, 1 failed, 2 backend not reachable, 3 backend not the one meant, 64 usage, 75 timed out,\n"
        "            78 configuration\n",
        to_stdout ? stdout : stderr);
}

static bool complain(const char *what, const char *arg)
{
    fprintf(stderr, "respgate: %s: %s\n", what, arg);
    cli_usage(false);
    return false;
}

static bool set_max(struct cli_options *options, const char *value)
{
    static const struct option row = {.key = "--max", .type = OPTION_DURATION, .min = 1, .max = 24 * 3600 * 1000};
    char why[VALUE_WHY_LEN];
    int64_t ms;

    if (!value_parse(&row, value, &ms, why))
        return false;
    options->max_ms = (uint64_t)ms;
    return true;
}

/* A flag with a value; false when there is no such flag here, or the value is wrong. */
static bool take_value(struct cli_options *options, int allowed, const char *flag, const char *value)
{
    const struct {
        const char *name;
        int allowed;
        const char **set;
    } texts[] = {
        {"-c", CLI_CONF, &options->file},
        {"--set", CLI_CONF, &options->sets[options->n_sets]},
        {"--expect", CLI_EXPECT, &options->expect},
        {"--for", CLI_WAIT, &options->goal},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!(allowed & texts[i].allowed) || strcmp(flag, texts[i].name) != 0)
            continue;
        *texts[i].set = value;
        options->n_sets += !strcmp(flag, "--set");
        return true;
    }
    if ((allowed & CLI_CONF) && !strcmp(flag, "--override") && !strcmp(value, "backend")) {
        options->override_backend = true;
        return true;
    }
    return (allowed & CLI_WAIT) && !strcmp(flag, "--max") && set_max(options, value);
}

/* A flag that stands for itself; false when there is no such flag here. */
static bool take_word(struct cli_options *options, int allowed, const char *flag)
{
    const struct {
        const char *name;
        int allowed;
        bool *set;
    } words[] = {
        {"--json", CLI_JSON, &options->json},
        {"--prometheus", CLI_PROMETHEUS, &options->prometheus},
        {"--once", CLI_ONCE, &options->once},
        {"--origins", CLI_ORIGINS, &options->origins},
        {"--example", CLI_EXAMPLE, &options->example},
        {"--live", CLI_LIVE, &options->live},
        {"--connect", CLI_CONNECT, &options->connect},
        {"--help", ~0, &options->help},
        {"-h", ~0, &options->help},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if ((allowed & words[i].allowed || words[i].allowed == ~0) && !strcmp(flag, words[i].name)) {
            *words[i].set = true;
            return true;
        }
    if (!(allowed & CLI_ARGUMENT) || options->argument || (flag[0] == '-' && flag[1]))
        return false;
    options->argument = flag;
    return true;
}

bool cli_parse(struct cli_options *options, int argc, char **argv, int allowed)
{
    *options = (struct cli_options){.max_ms = WAIT_DEFAULT_MS};
    options->sets = calloc((size_t)argc + 1, sizeof(*options->sets));
    if (!options->sets)
        return complain("out of memory", "");
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (take_word(options, allowed, argv[i]))
            continue;
        if (!value || !take_value(options, allowed, argv[i], value))
            return complain("unknown or incomplete argument", argv[i]);
        i++;
    }
    if ((allowed & CLI_ARGUMENT) && !options->argument && !options->help)
        return complain("missing argument", "");
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
        .override_backend = options->override_backend,
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
