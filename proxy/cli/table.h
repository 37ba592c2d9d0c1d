/*
 * The command line as two tables: the subcommands, and the flags with what each stands for. They drive parsing, the
 * usage text and the completions of shells, so that these cannot differ. Constant data; any thread.
 */
#pragma once

#include <stddef.h>

struct cli_options;

/* Which flags a subcommand takes. */
enum {
    CLI_CONF = 1 << 0, /* those that say which configuration is meant */
    CLI_JSON = 1 << 1,
    CLI_ORIGINS = 1 << 2,
    CLI_EXAMPLE = 1 << 3,
    CLI_EXPECT = 1 << 4,
    CLI_WAIT = 1 << 5,
    CLI_LIVE = 1 << 6,
    CLI_CONNECT = 1 << 7,
    CLI_PROMETHEUS = 1 << 8,
    CLI_ONCE = 1 << 9,
    CLI_HELP = 1 << 10, /* every one of them */
};

struct cli_subcommand {
    const char *name;
    int allowed;
    const char *argument; /* the one that is no flag, and that it requires; NULL: it takes none. As cli_flag.value */
    const char *doc;
    int (*run)(const struct cli_options *options);
};

enum cli_flag_kind { FLAG_SWITCH, FLAG_TEXT, FLAG_SETTING, FLAG_DURATION };

struct cli_flag {
    const char *name;
    int allowed; /* to subcommands that take this */
    enum cli_flag_kind kind;
    size_t at; /* of what it sets in struct cli_options */
    /* What stands behind it; NULL: nothing. Words of which one is meant, with bars between them; what is upper case is
     * a placeholder. CLI_A_FILE and CLI_A_SETTING are what their names say. */
    const char *value;
    const char *doc;
};

extern const char CLI_A_FILE[], CLI_A_SETTING[];

extern const struct cli_subcommand cli_subcommands[];
extern const size_t cli_n_subcommands;
extern const struct cli_flag cli_flags[];
extern const size_t cli_n_flags;
