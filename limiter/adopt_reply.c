#include "limiter/adopt_reply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limit_reply.h"
#include "limiter/number.h"
#include "protocol/command.h"
#include "protocol/reply.h"

/* How a figure comes of fields: one; one less another, at least 0; milliseconds as begun seconds. */
enum way { NOT, FIELD, LESS, SECONDS };

static const struct figure {
    const char *name;
    struct {
        uint8_t way, i, j;
    } of[ADOPT_FAMILIES];
} figures[] = {
    {"limit", {{FIELD, LIMIT_LIMIT, 0}, {FIELD, SEM_MAX, 0}, {FIELD, THROTTLE_LIMIT, 0}, {0}}},
    {"remaining", {{FIELD, LIMIT_REMAINING, 0}, {LESS, SEM_MAX, SEM_LIVE}, {FIELD, THROTTLE_REMAINING, 0}, {0}}},
    {"used",
     {{LESS, LIMIT_LIMIT, LIMIT_REMAINING}, {FIELD, SEM_LIVE, 0}, {LESS, THROTTLE_LIMIT, THROTTLE_REMAINING}, {0}}},
    {"retry_ms", {{FIELD, LIMIT_RETRY_MS, 0}, {FIELD, SEM_RETRY_MS, 0}, {0}, {0}}},
    {"retry_s", {{SECONDS, LIMIT_RETRY_MS, 0}, {SECONDS, SEM_RETRY_MS, 0}, {FIELD, THROTTLE_RETRY_S, 0}, {0}}},
    {"reset_ms", {{FIELD, LIMIT_RESET_MS, 0}, {0}, {0}, {0}}},
    {"reset_s", {{SECONDS, LIMIT_RESET_MS, 0}, {0}, {FIELD, THROTTLE_RESET_S, 0}, {0}}},
    {"lease_ms", {{0}, {FIELD, SEM_LEASE_LEFT_MS, 0}, {0}, {0}}},
    {"fence", {{0}, {FIELD, SEM_FENCE, 0}, {0}, {0}}},
    {"slot", {{0}, {FIELD, SEM_SLOT, 0}, {0}, {0}}},
    {"value", {{0}, {0}, {0}, {FIELD, 0, 0}}},
};

enum { FIGURES = sizeof figures / sizeof *figures };

/* How many fields a reply has, and what the first one is when it allows. */
static const struct {
    unsigned fields;
    const char *allows;
} families[ADOPT_FAMILIES] = {
    [ADOPT_LIMIT] = {LIMIT_FIELDS, "r[1] == 1"},
    [ADOPT_SEM] = {SEM_FIELDS, "r[1] == 1"},
    [ADOPT_THROTTLE] = {THROTTLE_FIELDS, "r[1] == 0"},
    [ADOPT_NUMBER] = {1, "r[1] > 0"},
};

static bool allows(enum adopt_family family, const int64_t *fields)
{
    return family == ADOPT_THROTTLE ? fields[THROTTLE_LIMITED] == 0 : fields[0] > 0;
}

enum adopt_family adopt_family_of(const struct command *row)
{
    switch (row->id) {
    case CMD_LIM_GCRA:
    case CMD_LIM_WINDOW:
    case CMD_LIM_SLIDE:
    case CMD_LIM_REFUND:
        return ADOPT_LIMIT;
    case CMD_SEM_ACQUIRE:
        return ADOPT_SEM;
    case CMD_CL_THROTTLE:
        return ADOPT_THROTTLE;
    case CMD_SEM_RENEW:
    case CMD_SEM_RELEASE:
    case CMD_SEM_CHECK:
    case CMD_SEM_REVOKE:
    case CMD_LIM_RESET:
        return ADOPT_NUMBER;
    default:
        return ADOPT_FOREIGN;
    }
}

/* --- reading --- */

static bool read_value(struct adopt_value *value, enum adopt_family family, const char *word, size_t len)
{
    if (number_read((const uint8_t *)word, len, &value->n)) {
        value->kind = ADOPT_INTEGER;
        return true;
    }
    if (len == 3 && memcmp(word, "nil", 3) == 0) {
        value->kind = ADOPT_NIL;
        return true;
    }
    if (len == 2 && memcmp(word, "OK", 2) == 0) {
        value->kind = ADOPT_OK;
        return true;
    }
    value->kind = ADOPT_FIGURE;
    for (value->n = 0; value->n < FIGURES; value->n++) {
        const struct figure *figure = &figures[value->n];
        if (strlen(figure->name) == len && memcmp(figure->name, word, len) == 0 && figure->of[family].way)
            return true;
    }
    return false;
}

static void allowed_words(enum adopt_family family, char *error, size_t error_len)
{
    size_t len = strlen(error);

    for (unsigned i = 0; i < FIGURES && len < error_len; i++) {
        if (figures[i].of[family].way)
            len += (size_t)snprintf(error + len, error_len - len, ", %s", figures[i].name);
    }
}

/* What stands from *at up to a | or the end. */
static bool read_shape(struct adopt_shape *shape, enum adopt_family family, const char **at, char *error,
                       size_t error_len)
{
    const char *text = *at + strspn(*at, " ");
    bool open = *text == '[';

    *shape = (struct adopt_shape){.is_array = open};
    text += open;
    for (text += strspn(text, " "); *text && *text != '|' && *text != ']'; text += strspn(text, " ")) {
        size_t len = strcspn(text, " ]|");

        if (shape->n == ADOPT_VALUES_MAX) {
            snprintf(error, error_len, "has more than %d values", ADOPT_VALUES_MAX);
            return false;
        }
        if (!read_value(&shape->values[shape->n++], family, text, len)) {
            snprintf(error, error_len, "\"%.*s\" is not allowed here; allowed are an integer, nil, OK",
                     (int)(len < 40 ? len : 40), text);
            allowed_words(family, error, error_len);
            return false;
        }
        text += len;
    }
    bool closed = *text == ']';
    text += closed;
    *at = text + strspn(text, " ");
    if (open == closed && (open || shape->n == 1) && (!**at || **at == '|'))
        return true;
    snprintf(error, error_len, "is not ALLOWED | DENIED, each a value or [value ...], as in 1 | 0");
    return false;
}

bool adopt_returns_read(struct adopt_returns *returns, enum adopt_family family, const char *text, char *error,
                        size_t error_len)
{
    returns->family = family;
    if (!read_shape(&returns->allowed, family, &text, error, error_len))
        return false;
    returns->denied = returns->allowed;
    if (!*text)
        return true;
    text++;
    if (!read_shape(&returns->denied, family, &text, error, error_len))
        return false;
    if (*text)
        snprintf(error, error_len, "has more than one |");
    return !*text;
}

/* --- from a reply --- */

static int64_t figure_of(const struct figure *figure, enum adopt_family family, const int64_t *fields)
{
    int64_t n = fields[figure->of[family].i];

    switch ((enum way)figure->of[family].way) {
    case LESS:
        n -= fields[figure->of[family].j];
        return n > 0 ? n : 0;
    case SECONDS:
        return n > 0 ? (n + 999) / 1000 : n;
    default:
        return n;
    }
}

static void put_value(struct reply_writer *w, const struct adopt_value *value, enum adopt_family family,
                      const int64_t *fields, unsigned resp)
{
    switch (value->kind) {
    case ADOPT_INTEGER:
        reply_integer(w, value->n);
        break;
    case ADOPT_NIL:
        reply_null(w, resp);
        break;
    case ADOPT_OK:
        reply_simple(w, "OK");
        break;
    case ADOPT_FIGURE:
        reply_integer(w, figure_of(&figures[value->n], family, fields));
        break;
    }
}

static bool read_number(const uint8_t *reply, size_t len, int64_t *n)
{
    return len > 3 && reply[0] == ':' && memcmp(reply + len - 2, "\r\n", 2) == 0 && number_read(reply + 1, len - 3, n);
}

bool adopt_reply(const struct adopt_returns *returns, const uint8_t *reply, size_t len, unsigned resp,
                 struct reply_writer *w)
{
    enum adopt_family family = returns->family;
    int64_t fields[SEM_FIELDS];

    if (family == ADOPT_NUMBER ? !read_number(reply, len, fields)
                               : !limit_reply_read(reply, len, fields, families[family].fields))
        return false;
    const struct adopt_shape *shape = allows(family, fields) ? &returns->allowed : &returns->denied;
    if (shape->is_array)
        reply_array(w, shape->n);
    for (unsigned i = 0; i < shape->n; i++)
        put_value(w, &shape->values[i], family, fields, resp);
    return true;
}

/* --- as Lua --- */

static void put_figure_lua(FILE *out, const struct figure *figure, enum adopt_family family)
{
    unsigned i = figure->of[family].i + 1U, j = figure->of[family].j + 1U;

    if (figure->of[family].way == LESS)
        fprintf(out, "math.max(0, r[%u] - r[%u])", i, j);
    else if (figure->of[family].way == SECONDS)
        fprintf(out, "r[%u] > 0 and math.ceil(r[%u] / 1000) or r[%u]", i, i, i);
    else
        fprintf(out, "r[%u]", i);
}

static void put_value_lua(FILE *out, const struct adopt_value *value, enum adopt_family family)
{
    switch (value->kind) {
    case ADOPT_INTEGER:
        fprintf(out, "%" PRId64, value->n);
        break;
    case ADOPT_NIL:
        fputs("false", out);
        break;
    case ADOPT_OK:
        fputs("{ok = 'OK'}", out);
        break;
    case ADOPT_FIGURE:
        put_figure_lua(out, &figures[value->n], family);
        break;
    }
}

static void put_shape_lua(FILE *out, const struct adopt_shape *shape, enum adopt_family family)
{
    fputs(shape->is_array ? "{" : "", out);
    for (unsigned i = 0; i < shape->n; i++) {
        fputs(i ? ", " : "", out);
        put_value_lua(out, &shape->values[i], family);
    }
    fputs(shape->is_array ? "}" : "", out);
}

void adopt_reply_lua(const struct adopt_returns *returns, FILE *out)
{
    fputs("local r = limit()\nif type(r) == 'table' and r.err then\nreturn r\nend\n", out);
    if (returns->family == ADOPT_NUMBER)
        fputs("r = {r}\n", out);
    fprintf(out, "if %s then\nreturn ", families[returns->family].allows);
    put_shape_lua(out, &returns->allowed, returns->family);
    fputs("\nend\nreturn ", out);
    put_shape_lua(out, &returns->denied, returns->family);
    fputs("\n", out);
}
