/*
 * respgate completion: a script that has bash, zsh or fish complete subcommands, flags, their values and the keys of
 * settings, out of the tables that the program itself goes by.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/options.h"
#include "proxy/cli/cli.h"
#include "proxy/cli/table.h"

/* --- what there is to complete --- */

static bool takes(const struct cli_subcommand *subcommand, const struct cli_flag *flag)
{
    return flag->allowed & (subcommand->allowed | CLI_HELP);
}

/* Keys that a command line may hold: a secret has no place in there, but the file it is in does. */
static void print_keys(const struct section *section)
{
    for (size_t i = 0; i < section->n_options; i++) {
        const struct option *option = &section->options[i];
        if (!option->secret || option->type == OPTION_URL)
            printf(" %s.%s=", section->name, option->key);
        if (option->secret)
            printf(" %s.%s_file=", section->name, option->key);
    }
}

/* " listen.address= ..."; of sections whose NAME cannot be left out, what stands before it. */
static void print_settings(void)
{
    for (size_t i = 0; i < conf_n_sections; i++) {
        const struct section *section = conf_sections[i];
        if (section->named)
            printf(" %s.", section->name);
        if (!section->named || section->shorthand)
            print_keys(section);
    }
}

/* " ready live backend=": what may be typed of "ready|live|backend=NAME"; placeholders are not. */
static void print_words(const char *value)
{
    while (*value) {
        size_t len = strcspn(value, "|"), typed = 0;
        while (typed < len && !isupper((unsigned char)value[typed]))
            typed++;
        if (typed)
            printf(" %.*s", (int)typed, value);
        value += len + (value[len] == '|');
    }
}

static void print_value(const char *value)
{
    if (value == CLI_A_SETTING)
        print_settings();
    else if (value != CLI_A_FILE)
        print_words(value);
}

static void print_subcommand_names(void)
{
    for (size_t i = 0; i < cli_n_subcommands; i++)
        printf("%s%s", i ? " " : "", cli_subcommands[i].name);
}

/* --- bash --- */

static void bash_value(const char *value)
{
    if (value == CLI_A_FILE) {
        puts("files=yes ;;");
        return;
    }
    fputs("words='", stdout);
    print_value(value);
    puts("' ;;");
}

static void bash_flags(void)
{
    for (size_t i = 0; i < cli_n_flags; i++)
        if (cli_flags[i].value) {
            printf("        %s) ", cli_flags[i].name);
            bash_value(cli_flags[i].value);
        }
}

static void bash_subcommands(void)
{
    for (size_t i = 0; i < cli_n_subcommands; i++) {
        const struct cli_subcommand *subcommand = &cli_subcommands[i];
        const char *argument = subcommand->argument;
        printf("            %s) %swords='", subcommand->name, argument == CLI_A_FILE ? "files=yes " : "");
        if (argument)
            print_value(argument);
        for (size_t j = 0; j < cli_n_flags; j++)
            if (takes(subcommand, &cli_flags[j]))
                printf(" %s", cli_flags[j].name);
        puts("' ;;");
    }
}

static void print_bash(void)
{
    puts("# bash completion for respgate, made by `respgate completion bash`\n"
         "_respgate()\n"
         "{\n"
         "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' files=no\n"
         "    COMPREPLY=()\n"
         "    case $before in\n"
         "        =) return ;;");
    bash_flags();
    fputs("        respgate | */respgate) words='", stdout);
    print_subcommand_names();
    puts("' ;;\n"
         "        *) case ${COMP_WORDS[1]} in");
    bash_subcommands();
    puts("        esac ;;\n"
         "    esac\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "    if [ $files = yes ]; then\n"
         "        compopt -o filenames 2>/dev/null\n"
         "        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$current\")\n"
         "    elif [[ ${COMPREPLY[0]-} == *[=.] ]]; then\n"
         "        compopt -o nospace 2>/dev/null\n"
         "    fi\n"
         "}\n"
         "complete -F _respgate respgate");
}

/* --- zsh --- */

/* Inside single quotes, where _arguments has its own marks. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\'", stdout);
        else if (strchr("[]:\\", *text))
            putchar('\\');
        putchar(*text);
    }
}

static void zsh_action(const char *value)
{
    if (value == CLI_A_FILE) {
        fputs("_files", stdout);
    } else if (value == CLI_A_SETTING) {
        fputs("_respgate_settings", stdout);
    } else {
        fputs("_respgate_words", stdout);
        print_words(value);
    }
}

static void zsh_flag(const struct cli_flag *flag)
{
    printf(" \\\n            '%s%s[", flag->kind == FLAG_SETTING ? "*" : "", flag->name);
    zsh_text(flag->doc);
    putchar(']');
    if (flag->value) {
        putchar(':');
        zsh_text(flag->value);
        fputs(": ", stdout);
        zsh_action(flag->value);
    }
    putchar('\'');
}

static void zsh_subcommand(const struct cli_subcommand *subcommand)
{
    printf("        %s) _arguments", subcommand->name);
    for (size_t i = 0; i < cli_n_flags; i++)
        if (takes(subcommand, &cli_flags[i]))
            zsh_flag(&cli_flags[i]);
    if (subcommand->argument) {
        printf(" \\\n            '1:");
        zsh_text(subcommand->argument);
        fputs(": ", stdout);
        zsh_action(subcommand->argument);
        putchar('\'');
    }
    puts(" ;;");
}

static void print_zsh(void)
{
    puts("#compdef respgate\n"
         "# zsh completion for respgate, made by `respgate completion zsh`\n"
         "_respgate_words() {\n"
         "    compadd -S '' -- ${(M)@:#*[=.]}\n"
         "    compadd -- ${@:#*[=.]}\n"
         "}\n"
         "_respgate_settings() {");
    fputs("    _respgate_words", stdout);
    print_settings();
    puts("\n}\n"
         "_respgate() {\n"
         "    local subcommand=$words[2]\n"
         "    local -a subcommands=(");
    for (size_t i = 0; i < cli_n_subcommands; i++) {
        printf("        '%s:", cli_subcommands[i].name);
        zsh_text(cli_subcommands[i].doc);
        puts("'");
    }
    puts("    )\n"
         "    if (( CURRENT == 2 )); then\n"
         "        _describe subcommand subcommands\n"
         "        return\n"
         "    fi\n"
         "    shift words\n"
         "    (( CURRENT-- ))\n"
         "    case $subcommand in");
    for (size_t i = 0; i < cli_n_subcommands; i++)
        zsh_subcommand(&cli_subcommands[i]);
    puts("    esac\n"
         "}\n"
         "if [[ $funcstack[1] == _respgate ]]; then _respgate \"$@\"; else compdef _respgate respgate; fi");
}

/* --- fish --- */

static void fish_text(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (strchr("'\\", *text))
            putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void fish_value(const char *value)
{
    if (value == CLI_A_FILE) {
        fputs(" -F", stdout);
        return;
    }
    fputs(" -a '", stdout);
    print_value(value);
    putchar('\'');
}

static void fish_flag(const struct cli_flag *flag)
{
    bool is_long = flag->name[1] == '-';

    fputs("complete -c respgate -n '__fish_seen_subcommand_from", stdout);
    for (size_t i = 0; i < cli_n_subcommands; i++)
        if (takes(&cli_subcommands[i], flag))
            printf(" %s", cli_subcommands[i].name);
    printf("' -%s %s", is_long ? "l" : "s", flag->name + 1 + is_long);
    if (flag->value) {
        fputs(" -r", stdout);
        fish_value(flag->value);
    }
    fputs(" -d ", stdout);
    fish_text(flag->doc);
    putchar('\n');
}

static void print_fish(void)
{
    puts("# fish completion for respgate, made by `respgate completion fish`\n"
         "complete -c respgate -f");
    for (size_t i = 0; i < cli_n_subcommands; i++) {
        const struct cli_subcommand *subcommand = &cli_subcommands[i];
        printf("complete -c respgate -n __fish_use_subcommand -a %s -d ", subcommand->name);
        fish_text(subcommand->doc);
        putchar('\n');
        if (subcommand->argument) {
            printf("complete -c respgate -n '__fish_seen_subcommand_from %s'", subcommand->name);
            fish_value(subcommand->argument);
            putchar('\n');
        }
    }
    for (size_t i = 0; i < cli_n_flags; i++)
        fish_flag(&cli_flags[i]);
}

int cli_completion(const struct cli_options *options)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (!strcmp(options->argument, shells[i].name)) {
            shells[i].print();
            return EXIT_FINE;
        }
    fprintf(stderr, "respgate: completions are for bash, zsh and fish, not for %s\n", options->argument);
    return EXIT_BAD_USAGE;
}
