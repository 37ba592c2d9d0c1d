/* respgate: a proxy sidecar in front of Redis. This file only finds the subcommand. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/cli.h"

static const struct {
    const char *name;
    int allowed;
    int (*run)(const struct cli_options *);
} subcommands[] = {
    {"run", CLI_CONF | CLI_EXPECT, cli_run},
    {"check", CLI_CONF | CLI_EXPECT | CLI_CONNECT | CLI_JSON, cli_check},
    {"config", CLI_CONF | CLI_JSON | CLI_ORIGINS | CLI_EXAMPLE, cli_config},
    {"wait", CLI_CONF | CLI_WAIT, cli_wait},
    {"health", CLI_CONF | CLI_LIVE, cli_health},
    {"stats", CLI_CONF | CLI_JSON | CLI_PROMETHEUS, cli_stats},
    {"top", CLI_CONF | CLI_ONCE, cli_top},
    {"reload", CLI_CONF, cli_reload},
    {"drain", CLI_CONF, cli_drain},
    {"pin", CLI_CONF | CLI_ARGUMENT, cli_pin},
    {"unpin", CLI_CONF, cli_unpin},
    {"replay", CLI_ARGUMENT, cli_replay},
    {"version", 0, cli_version},
};

static int run_subcommand(size_t i, int argc, char **argv)
{
    struct cli_options options;
    int code = EXIT_BAD_USAGE;

    if (!cli_parse(&options, argc, argv, subcommands[i].allowed)) {
        code = EXIT_BAD_USAGE;
    } else if (options.help) {
        cli_usage(true);
        code = EXIT_FINE;
    } else {
        code = subcommands[i].run(&options);
    }
    free(options.sets);
    return code;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write, not our end */
    if (argc > 1 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))) {
        cli_usage(true);
        return EXIT_FINE;
    }
    for (size_t i = 0; argc > 1 && i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        if (!strcmp(argv[1], subcommands[i].name))
            return run_subcommand(i, argc - 2, argv + 2);
    if (argc > 1)
        fprintf(stderr, "respgate: no such subcommand: %s\n", argv[1]);
    cli_usage(false);
    return EXIT_BAD_USAGE;
}
