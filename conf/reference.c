/* The annotated configuration file, made from the option table, so that the two cannot differ. */
#include <string.h>

#include "conf/conf.h"
#include "conf/options.h"
#include "conf/reader.h"
#include "conf/value.h"

enum { WIDTH = 100 };

/* `text` as comment lines, broken at blanks. */
static void print_comment(FILE *out, const char *text)
{
    while (*text) {
        size_t len = strlen(text);
        if (len > WIDTH) {
            const char *blank = memrchr(text, ' ', WIDTH);
            len = blank ? (size_t)(blank - text) : WIDTH;
        }
        fprintf(out, "# %.*s\n", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
}

/*
 * ';' stands before what may be switched on as it is: a key at its default. '#' stands before explanations, and before
 * the keys of a section that nobody needs and whose keys have no default. Nothing stands before what must be given, so
 * that the file is a good one as it is printed.
 */
static void print_option(FILE *out, const struct option *option, const char *mark)
{
    char allowed[VALUE_WHY_LEN];
    value_allowed(option, allowed);
    fputc('\n', out);
    print_comment(out, option->doc);
    if (option->required) {
        fprintf(out, "# %s; required\n", allowed);
    } else if (option->inherits) {
        fprintf(out, "# %s; empty: as in [%s]\n", allowed, option->inherits);
    } else {
        fprintf(out, "# %s; default %s\n", allowed, *option->initial ? option->initial : "empty");
    }
    if (option->secret) {
        fprintf(out, "# secret: %s never shown; %s_file = PATH takes it out of a file\n",
                option->type == OPTION_URL ? "its password is" : "it is", option->key);
    }
    const char *shown = option->required ? option->example : option->initial;
    fprintf(out, "%s%s =%s%s\n", mark, option->key, *shown ? " " : "", shown);
}

void conf_print_reference(FILE *out)
{
    fputs("# respgate.ini: every key with its meaning, what it may be, and its default.\n", out);
    fputs("# Only one [backend NAME] with a url must be given. A comment has a line of its own.\n", out);
    fputs("# Every key exists in the environment too: RESPGATE_LISTEN_ADDRESS, RESPGATE_BACKEND_<NAME>_URL;\n", out);
    fputs("# RESPGATE_BACKEND_URL is short for the backend `default`. --set section.key=value wins over both.\n", out);
    fprintf(out, "# Lines have at most %zu bytes. Values are taken as they stand, without quotes.\n",
            reader_line_max());
    for (size_t i = 0; i < conf_n_sections; i++) {
        const struct section *section = conf_sections[i];
        bool optional = section->named && !section->missing;
        fputs("\n\n", out);
        print_comment(out, section->doc);
        if (section->named) {
            fprintf(out, "%s[%s %s]\n", optional ? "#" : "", section->name, section->example);
        } else {
            fprintf(out, "[%s]\n", section->name);
        }
        for (size_t j = 0; j < section->n_options; j++) {
            const char *given = section->options[j].required ? "" : ";";
            print_option(out, &section->options[j], optional ? "#" : given);
        }
    }
}
