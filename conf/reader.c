#include "conf/reader.h"

#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "conf/text.h"

/* Debian's inih can be told a line length at run time, and then needs its stack mode; elsewhere it has 200 for good. */
#ifdef HAVE_INI_MAX_LINE
enum { LINE_MAX_LEN = 8192 };
#else
enum { LINE_MAX_LEN = 190 };
#endif
enum { LINE_EXTRA = 3 }; /* inih wants room for CR, LF and NUL */

struct reader {
    const char *at, *end;
    unsigned line; /* the one that was handed out last */
    const struct reader_events *events;
};

size_t reader_line_max(void)
{
    return LINE_MAX_LEN;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t trimmed(const char *line, size_t len)
{
    while (len > 0 && is_blank(line[len - 1])) {
        len--;
    }
    return len;
}

static const char *bytes_wrong(const char *line, size_t len)
{
    if (len > LINE_MAX_LEN) {
        return LINE_MAX_LEN == 190
                   ? "the line is longer than 190 bytes, put a long secret into a file and name it with KEY_file"
                   : "the line is longer than 8192 bytes";
    }
    if (memchr(line, '\0', len)) {
        return "the line holds a NUL byte, the file must be UTF-8 text";
    }
    if (memchr(line, '\r', len)) {
        return "the line holds a carriage return";
    }
    if (text_has_control(line, len, false)) {
        return "the line holds a control byte";
    }
    return text_is_utf8(line, len) ? NULL : "the line is not UTF-8";
}

static const char inline_comment[] =
    "a blank before ';' or '#' starts no comment here: give the comment a line of its own, or a value that needs "
    "these bytes through KEY_file or the environment";

static bool has_inline_comment(const char *line, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        if ((line[i] == ';' || line[i] == '#') && is_blank(line[i - 1])) {
            return true;
        }
    }
    return false;
}

static const char *header_wrong(const char *line, size_t len)
{
    const char *close = memchr(line, ']', len);
    if (!close) {
        return "the '[' has no ']'";
    }
    if (trimmed(line, len) != (size_t)(close + 1 - line)) {
        return "text follows the ']', a comment needs a line of its own";
    }
    if (has_inline_comment(line, len)) {
        return inline_comment;
    }
    return close - line - 1 > READER_NAME_MAX ? "the section name is longer than 49 bytes" : NULL;
}

static const char *pair_wrong(const char *line, size_t len)
{
    size_t key = 0;
    while (key < len && line[key] != '=' && line[key] != ':') {
        key++;
    }
    if (has_inline_comment(line, len)) {
        return inline_comment;
    }
    if (key == len) {
        return "the line has neither '=' nor ':'";
    }
    key = trimmed(line, key);
    if (key == 0) {
        return "the line has no key before its '=' or ':'";
    }
    return key > READER_NAME_MAX ? "the key is longer than 49 bytes" : NULL;
}

/* How many bytes of the line inih may see: none of comments and of mistakes. Headers are told here, as inih cannot. */
static size_t judge(struct reader *reader, const char *line, size_t len)
{
    const struct reader_events *events = reader->events;
    const char *wrong = bytes_wrong(line, len);
    size_t indent = 0;
    while (!wrong && indent < len && is_blank(line[indent])) {
        indent++;
    }
    if (!wrong && (indent == len || line[indent] == ';' || line[indent] == '#')) {
        return 0;
    }
    if (!wrong && indent > 0) {
        wrong = "the line is indented, and values cannot be continued on a further line";
    }
    if (len > 0 && line[indent < len ? indent : 0] == '[') {
        wrong = wrong ? wrong : header_wrong(line, len);
        char header[READER_NAME_MAX + 1] = "";
        if (!wrong) {
            size_t name_len = trimmed(line, len) - 2;
            memcpy(header, line + 1, name_len);
            header[name_len] = '\0';
        }
        events->on_section(events->context, reader->line, wrong ? NULL : header);
    } else {
        wrong = wrong ? wrong : pair_wrong(line, len);
    }
    if (wrong) {
        events->on_mistake(events->context, reader->line, wrong);
    }
    return wrong ? 0 : len;
}

/* inih's reader: like fgets(), but every line is judged first. */
static char *next_line(char *out, int room, void *stream)
{
    struct reader *reader = stream;
    if (reader->at == reader->end) {
        return NULL;
    }
    const char *line = reader->at;
    const char *newline = memchr(line, '\n', (size_t)(reader->end - line));
    size_t len = (size_t)((newline ? newline : reader->end) - line);
    reader->at = newline ? newline + 1 : reader->end;
    if (reader->line++ == 0 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        len -= 3;
    }
    if (newline && len > 0 && line[len - 1] == '\r') {
        len--;
    }
    len = judge(reader, line, len);
    snprintf(out, (size_t)room, "%.*s\n", (int)len, line);
    return out;
}

#if INI_HANDLER_LINENO
static int on_pair(void *user, const char *section, const char *key, const char *value, int line)
#else
static int on_pair(void *user, const char *section, const char *key, const char *value)
#endif
{
#if INI_HANDLER_LINENO
    (void)line;
#endif
    (void)section;
    struct reader *reader = user;
    if (key && value) {
        reader->events->on_pair(reader->events->context, reader->line, key, value);
    }
    return 1;
}

void reader_run(const char *bytes, size_t len, const struct reader_events *events)
{
    struct reader reader = {.at = bytes, .end = bytes + len, .events = events};
#ifdef HAVE_INI_MAX_LINE
    ini_max_line = LINE_MAX_LEN + LINE_EXTRA;
    ini_use_stack = true;
#endif
    int line = ini_parse_stream(next_line, &reader, on_pair, &reader);
    if (line != 0) {
        events->on_mistake(events->context, line > 0 ? (unsigned)line : reader.line,
                           "the INI library rejects the line");
    }
}
