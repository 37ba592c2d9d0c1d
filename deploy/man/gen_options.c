/*
 * Makes respgate.ini(5) at build time: copies the page given as argument to stdout, and in the place of the line
 * .\" OPTIONS writes the option table, so that the page cannot lag behind it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/options.h"
#include "conf/reader.h"
#include "conf/value.h"

enum { LINE_LEN = 1024, WIDTH = 78 };

/* One word, of a text that has filled its line up to `column`; returns how far it is filled then. */
static size_t print_word(const char *word, size_t len, size_t column)
{
    if (column && column + 1 + len > WIDTH) {
        putchar('\n');
        column = 0;
    }
    if (column)
        putchar(' ');
    else if (*word == '.' || *word == '\'')
        fputs("\\&", stdout); /* would be a macro at the beginning of a line */
    for (size_t i = 0; i < len; i++)
        fputs(word[i] == '\\' ? "\\e" : (char[]){word[i], 0}, stdout);
    return column + len + (column != 0);
}

/* In lines of a bearable length, each sentence on its own, as mdoc has it. */
static void print_text(const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t len = strcspn(text, " ");
        column = print_word(text, len, column);
        if (text[len] && text[len - 1] == '.') {
            putchar('\n');
            column = 0;
        }
        text += len + strspn(text + len, " ");
    }
    putchar('\n');
}

/* An argument of a macro: a word that is quoted cannot be taken for a macro's name or a delimiter. */
static void print_argument(const char *macro, const char *argument)
{
    printf("%s \"", macro);
    for (; *argument; argument++)
        fputs(*argument == '"' ? "\\(dq" : (char[]){*argument, 0}, stdout);
    puts("\"");
}

static void print_default(const struct option *option)
{
    if (option->required)
        puts("Required.");
    else if (option->inherits)
        printf("Empty, which is the default: as in\n.Bq %s .\n", option->inherits);
    else if (*option->initial)
        printf("The default is\n.Ql \"%s\" .\n", option->initial);
    else
        puts("Empty by default.");
}

static void print_option(const struct option *option)
{
    char allowed[VALUE_WHY_LEN], takes[VALUE_WHY_LEN + sizeof("Takes .")];

    value_allowed(option, allowed);
    print_argument(".It Ic", option->key);
    print_text(option->doc);
    snprintf(takes, sizeof(takes), "Takes %s.", allowed);
    puts(".Pp");
    print_text(takes);
    print_default(option);
    if (option->secret) {
        printf("A secret: %s never shown, and\n", option->type == OPTION_URL ? "its password is" : "it is");
        printf(".Ic %s_file\ntakes it out of a file.\n", option->key);
    }
}

static void print_section(const struct section *section)
{
    printf(".Ss \"\\(lB%s%s\\(rB\"\n", section->name, section->named ? " NAME" : "");
    print_text(section->doc);
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < section->n_options; i++)
        print_option(&section->options[i]);
    puts(".El");
}

static void print_options(void)
{
    printf("A line has at most %zu bytes.\n", reader_line_max());
    for (size_t i = 0; i < conf_n_sections; i++)
        print_section(conf_sections[i]);
}

int main(int argc, char **argv)
{
    char line[LINE_LEN];
    FILE *page = argc == 2 ? fopen(argv[1], "re") : NULL;

    if (!page) {
        fputs("usage: gen_options PAGE\n", stderr);
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof(line), page)) {
        if (strcmp(line, ".\\\" OPTIONS\n") == 0)
            print_options();
        else
            fputs(line, stdout);
    }
    fclose(page);
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
