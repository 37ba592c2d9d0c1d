#include "proxy/cli/table.h"

#include "proxy/cli/cli.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AT(member) offsetof(struct cli_options, member)

const char CLI_A_FILE[] = "FILE", CLI_A_SETTING[] = "section.key=value";

const struct cli_subcommand cli_subcommands[] = {
    {"run", CLI_CONF | CLI_EXPECT, NULL, "serve, in the foreground", cli_run},
    {"check", CLI_CONF | CLI_EXPECT | CLI_CONNECT | CLI_JSON, NULL, "read the configuration; try every backend",
     cli_check},
    {"config", CLI_CONF | CLI_JSON | CLI_ORIGINS | CLI_EXAMPLE, NULL, "effective settings and where they come from",
     cli_config},
    {"wait", CLI_CONF | CLI_WAIT, NULL, "until a running respgate is that far", cli_wait},
    {"health", CLI_CONF | CLI_LIVE, NULL, "one look at a running respgate", cli_health},
    {"stats", CLI_CONF | CLI_JSON | CLI_PROMETHEUS, NULL, "what a running respgate counts, once", cli_stats},
    {"top", CLI_CONF | CLI_ONCE, NULL, "the same on a terminal, again each second", cli_top},
    {"reload", CLI_CONF, NULL, "have a running respgate read its configuration again", cli_reload},
    {"drain", CLI_CONF, NULL, "have it finish what is under way, and end", cli_drain},
    {"pin", CLI_CONF, "NAME", "have it keep to this backend", cli_pin},
    {"unpin", CLI_CONF, NULL, "have it choose by its rules again", cli_unpin},
    {"replay", 0, CLI_A_FILE, "repeat the decisions in a log; - is stdin", cli_replay},
    {"version", CLI_JSON, NULL, "this program's and its libraries' versions", cli_version},
    {"completion", 0, "bash|zsh|fish", "what makes a shell complete all this", cli_completion},
};

const size_t cli_n_subcommands = COUNT(cli_subcommands);

const struct cli_flag cli_flags[] = {
    {"-c", CLI_CONF, FLAG_TEXT, AT(file), CLI_A_FILE, "the configuration file"},
    {"--set", CLI_CONF, FLAG_SETTING, AT(sets), CLI_A_SETTING, "a setting that wins over file and environment"},
    {"--override", CLI_CONF, FLAG_TEXT, AT(override), "backend", "environment and --set may name another Redis"},
    {"--expect", CLI_EXPECT, FLAG_TEXT, AT(expect), "NAME", "serve only while this backend is the one in use"},
    {"--connect", CLI_CONNECT, FLAG_SWITCH, AT(connect), NULL, "try each step of each backend"},
    {"--for", CLI_WAIT, FLAG_TEXT, AT(goal), "ready|live|backend=NAME", "what to wait for (ready)"},
    {"--max", CLI_WAIT, FLAG_DURATION, AT(max_ms), "DURATION", "how long to wait (30s)"},
    {"--live", CLI_LIVE, FLAG_SWITCH, AT(live), NULL, "whether it runs, whatever its backends do"},
    {"--origins", CLI_ORIGINS, FLAG_SWITCH, AT(origins), NULL, "where each value comes from, and what it shadows"},
    {"--example", CLI_EXAMPLE, FLAG_SWITCH, AT(example), NULL, "the annotated reference file instead"},
    {"--json", CLI_JSON, FLAG_SWITCH, AT(json), NULL, "for machines"},
    {"--prometheus", CLI_PROMETHEUS, FLAG_SWITCH, AT(prometheus), NULL, "as /metrics has it"},
    {"--once", CLI_ONCE, FLAG_SWITCH, AT(once), NULL, "one look instead"},
    {"--help", CLI_HELP, FLAG_SWITCH, AT(help), NULL, "this text"},
    {"-h", CLI_HELP, FLAG_SWITCH, AT(help), NULL, "this text"},
};

const size_t cli_n_flags = COUNT(cli_flags);
