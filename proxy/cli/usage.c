/* What --help says, out of the tables. */
#include <stdio.h>
#include <string.h>

#include "proxy/cli/cli.h"
#include "proxy/cli/table.h"

enum { DOC_COLUMN = 62 };

/* What most subcommands take is told once, beneath. */
static bool is_told_beneath(const struct cli_flag *flag)
{
    return flag->allowed & (CLI_CONF | CLI_HELP);
}

static int print_flag(FILE *out, const struct cli_flag *flag)
{
    return fprintf(out, " [%s%s%s]", flag->name, flag->value ? " " : "", flag->value ? flag->value : "");
}

static void print_subcommand(FILE *out, const struct cli_subcommand *subcommand)
{
    int used = fprintf(out, "respgate %s", subcommand->name);

    if (subcommand->argument)
        used += fprintf(out, " %s", subcommand->argument);
    for (size_t i = 0; i < cli_n_flags; i++)
        if ((cli_flags[i].allowed & subcommand->allowed) && !is_told_beneath(&cli_flags[i]))
            used += print_flag(out, &cli_flags[i]);
    fprintf(out, "%*s%s\n", used < DOC_COLUMN ? DOC_COLUMN - used : 1, "", subcommand->doc);
}

void cli_usage(bool to_stdout)
{
    FILE *out = to_stdout ? stdout : stderr;

    for (size_t i = 0; i < cli_n_subcommands; i++) {
        fputs(i ? "       " : "usage: ", out);
        print_subcommand(out, &cli_subcommands[i]);
    }
    fputs("\nall that read the configuration:\n", out);
    for (size_t i = 0; i < cli_n_flags; i++)
        if (cli_flags[i].allowed & CLI_CONF)
            fprintf(out, "       %-10s %-18s %s\n", cli_flags[i].name, cli_flags[i].value, cli_flags[i].doc);
    fputs(
        "\n"
        "RESPGATE_BACKEND_URL=redis://127.0.0.1:6379/0 respgate run\n"
        "       listens on 127.0.0.1:6380; every setting can also be RESPGATE_<SECTION>_<KEY>\n"
        "\n"
        "exit codes: 0 fine, 1 failed, 2 backend not reachable, 3 backend not the one meant, 64 usage, 75 timed out,\n"
        "            78 configuration\n",
        out);
}
