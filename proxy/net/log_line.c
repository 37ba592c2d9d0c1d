#include "proxy/net/log_line.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX_LEN = 64 };

/* Where decoded bytes go; nowhere when `bytes` is NULL. */
struct sink {
    char *bytes;
    size_t len, room;
};

static bool put(struct sink *sink, char byte)
{
    if (!sink->bytes)
        return true;
    if (sink->len + 1 >= sink->room)
        return false;
    sink->bytes[sink->len++] = byte;
    sink->bytes[sink->len] = '\0';
    return true;
}

/* Behind a backslash. The log writes \u for single bytes only. */
static bool take_escape(const char **at, struct sink *sink)
{
    unsigned byte;
    int n = 0;

    if (**at == '"' || **at == '\\')
        return put(sink, *(*at)++);
    if (strncmp(*at, "u00", 3) != 0 || !isxdigit((unsigned char)(*at)[3]) || !isxdigit((unsigned char)(*at)[4]))
        return false;
    if (sscanf(*at + 3, "%2x%n", &byte, &n) != 1 || n != 2)
        return false;
    *at += 5;
    return put(sink, (char)byte);
}

static bool take_quoted(const char **at, struct sink *sink)
{
    if (*(*at)++ != '"')
        return false;
    while (**at != '"') {
        char byte = **at;
        if (!byte)
            return false;
        (*at)++;
        if (byte == '\\' ? !take_escape(at, sink) : !put(sink, byte))
            return false;
    }
    (*at)++;
    return true;
}

/* A bare word or a number, up to one of `ends` or the end of the line. */
static bool take_bare(const char **at, const char *ends, struct sink *sink)
{
    const char *begin = *at;

    for (; **at && !strchr(ends, **at); (*at)++)
        if (**at == '"' || **at == '=' || **at == '\\' || !put(sink, **at))
            return false;
    return *at != begin;
}

static bool take_key(const char **at, bool json, char key[KEY_MAX_LEN])
{
    struct sink sink = {.bytes = key, .room = KEY_MAX_LEN};

    if (!(json ? take_quoted(at, &sink) : take_bare(at, "= ", &sink)))
        return false;
    return *(*at)++ == (json ? ':' : '=');
}

static bool take_value(const char **at, bool json, struct sink *sink)
{
    return **at == '"' ? take_quoted(at, sink) : take_bare(at, json ? ",}" : " ", sink);
}

/* Past what separates two fields. False at the end of the line and where there should be one. */
static bool take_separator(const char **at, bool json)
{
    if (**at != (json ? ',' : ' '))
        return false;
    (*at)++;
    return true;
}

enum log_find log_line_find(const char *line, const char *key, char *value, size_t len)
{
    bool json = *line == '{', found = false;
    const char *at = line + json;

    *value = '\0';
    do {
        char name[KEY_MAX_LEN] = "";
        struct sink sink = {.room = len};
        if (!take_key(&at, json, name))
            return LOG_MALFORMED;
        if (!found && !strcmp(name, key)) {
            sink.bytes = value;
            found = true;
        }
        if (!take_value(&at, json, &sink))
            return LOG_MALFORMED;
    } while (take_separator(&at, json));
    if (strcmp(at, json ? "}" : "") != 0)
        return LOG_MALFORMED;
    return found ? LOG_FOUND : LOG_ABSENT;
}
