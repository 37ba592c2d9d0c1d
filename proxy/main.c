/* respgate: a proxy sidecar in front of Redis. This file only finds the subcommand. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/cli.h"
#include "proxy/cli/table.h"

static int run_subcommand(const struct cli_subcommand *subcommand, int argc, char **argv)
{
    struct cli_options options;
    int code = EXIT_BAD_USAGE;

    if (cli_parse(&options, subcommand, argc, argv)) {
        if (options.help)
            cli_usage(true);
        code = options.help ? EXIT_FINE : subcommand->run(&options);
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
    for (size_t i = 0; argc > 1 && i < cli_n_subcommands; i++)
        if (!strcmp(argv[1], cli_subcommands[i].name))
            return run_subcommand(&cli_subcommands[i], argc - 2, argv + 2);
    if (argc > 1)
        fprintf(stderr, "respgate: no such subcommand: %s\n", argv[1]);
    cli_usage(false);
    return EXIT_BAD_USAGE;
}
