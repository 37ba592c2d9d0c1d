/*
 * Members of a JSON object, each with a comma behind it: the last member of an object is written by hand. For
 * /stats.json.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/text.h"

static inline void json_text(FILE *out, const char *name, const char *text)
{
    fprintf(out, "\"%s\":", name);
    text_write_json(out, text);
    fputc(',', out);
}

static inline void json_number(FILE *out, const char *name, int64_t number)
{
    fprintf(out, "\"%s\":%lld,", name, (long long)number);
}

static inline void json_bool(FILE *out, const char *name, bool yes)
{
    fprintf(out, "\"%s\":%s,", name, yes ? "true" : "false");
}
