#include "limiter/adopt.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "limiter/pattern.h"
#include "protocol/command.h"
#include "protocol/decimal.h"

enum { NUMBERED_MAX = 1000 }; /* KEYS and ARGV a rule can name */

struct adopt_table {
    size_t n;
    struct adoption adoptions[];
};

/* --- reading a rule --- */

__attribute__((format(printf, 3, 4))) static bool mistake_is(struct adopt_mistake *mistake, const char *key,
                                                             const char *format, ...)
{
    va_list args;

    mistake->key = key;
    va_start(args, format);
    /* The analyzer loses sight of va_start() here. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(mistake->text, sizeof mistake->text, format, args);
    va_end(args);
    return false;
}

/* The next word between blanks; an empty one at the end. */
static struct limit_slice next_word(const char **at)
{
    const char *word = *at + strspn(*at, " \t");
    size_t len = strcspn(word, " \t");

    *at = word + len;
    return (struct limit_slice){(const uint8_t *)word, len};
}

/* NAME[n], then nothing, or for ARGV *number. */
static bool read_numbered(struct adopt_word *word, const char *name)
{
    const char *text = (const char *)word->word.bytes, *end = text + word->word.len;
    size_t len = strlen(name);
    int64_t n;

    if (word->word.len <= len || memcmp(text, name, len) != 0)
        return false;
    const char *close = memchr(text, ']', word->word.len);
    if (!close || !number_read((const uint8_t *)text + len, (size_t)(close - text) - len, &n) || n < 1 ||
        n > NUMBERED_MAX)
        return false;
    word->n = (uint32_t)n;
    word->times = 1;
    if (close + 1 == end)
        return true;
    return word->source == ADOPT_ARG && close[1] == '*' &&
           number_read((const uint8_t *)close + 2, (size_t)(end - close - 2), &word->times) && word->times > 0;
}

static bool read_word(struct adopt_word *word)
{
    bool bracket = memchr(word->word.bytes, '[', word->word.len);

    word->source = bracket && word->word.bytes[0] == 'K' ? ADOPT_KEY : bracket ? ADOPT_ARG : ADOPT_WORD;
    return !bracket || read_numbered(word, word->source == ADOPT_KEY ? "KEYS[" : "ARGV[");
}

static bool read_sha(struct adoption *adoption, const struct limit_slice *word)
{
    if (word->len != SCRIPT_SHA_LEN)
        return false;
    for (unsigned i = 0; i < SCRIPT_SHA_LEN; i++) {
        char c = (char)word->bytes[i];

        adoption->sha[i] = (char)(c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c);
        if (!strchr("0123456789abcdef", adoption->sha[i]) || !c)
            return false;
    }
    return true;
}

static bool read_words(struct adoption *adoption, const char *at, struct adopt_mistake *mistake)
{
    for (struct limit_slice text; (text = next_word(&at)).len; adoption->n_words++) {
        if (adoption->n_words == ADOPT_WORDS_MAX)
            return mistake_is(mistake, "adopt", "has more than %d words", ADOPT_WORDS_MAX);
        struct adopt_word *word = &adoption->words[adoption->n_words];

        word->word = text;
        if (!read_word(word))
            return mistake_is(mistake, "adopt",
                              "\"%.*s\" is none of KEYS[n], ARGV[n] and ARGV[n]*number, n from 1 to %d",
                              (int)(text.len < 40 ? text.len : 40), (const char *)text.bytes, NUMBERED_MAX);
    }
    if (adoption->n_words && adoption->words[0].source == ADOPT_KEY)
        return true;
    return mistake_is(mistake, "adopt", "what follows the command is its key, as in KEYS[1]");
}

/* --- a call --- */

static bool fail(struct adopt_room *room, const char *what)
{
    snprintf(room->error, sizeof room->error, "ERR respgate: limit.%s does not fit this call of its script: %.150s",
             room->adoption->name, what);
    return false;
}

/* ARGV[n]*times. */
static bool multiply(struct adopt_room *room, unsigned i, const struct limit_slice *arg, int64_t times)
{
    char *end = room->numbers[i] + sizeof room->numbers[i];
    int64_t n;

    if (!number_read(arg->bytes, arg->len, &n) || __builtin_mul_overflow(n, times, &n))
        return fail(room, "a number that is to be multiplied is not an integer or out of range");
    char *at = decimal_print(end, n);
    room->args[i + 1] = (struct limit_slice){(const uint8_t *)at, (size_t)(end - at)};
    return true;
}

/* The command's arguments out of the client's. */
static bool fill(struct adopt_room *room, const struct limit_slice *keys, uint32_t n_keys,
                 const struct limit_slice *argv, uint32_t n_argv)
{
    const struct adoption *adoption = room->adoption;
    char missing[40];

    room->args[0] = (struct limit_slice){(const uint8_t *)adoption->row->name, adoption->row->name_len};
    for (unsigned i = 0; i < adoption->n_words; i++) {
        const struct adopt_word *word = &adoption->words[i];
        bool is_key = word->source == ADOPT_KEY;

        if (word->source == ADOPT_WORD) {
            room->args[i + 1] = word->word;
            continue;
        }
        if (word->n > (is_key ? n_keys : n_argv)) {
            snprintf(missing, sizeof missing, "it has no %s[%u]", is_key ? "KEYS" : "ARGV", word->n);
            return fail(room, missing);
        }
        room->args[i + 1] = is_key ? keys[word->n - 1] : argv[word->n - 1];
        if (word->times > 1 && !multiply(room, i, &argv[word->n - 1], word->times))
            return false;
    }
    return true;
}

static bool parse(struct adopt_room *room, const struct limit_settings *settings, struct limit_call *call)
{
    const struct adoption *adoption = room->adoption;

    if (!limit_call_parse(call, adoption->row, room->args, adoption->n_words + 1, settings))
        return fail(room, strncmp(call->error, "ERR ", 4) == 0 ? call->error + 4 : call->error);
    return true;
}

/* Whether the rule can be: its command with numbers for all that only a call knows. */
static bool try_out(const struct adoption *adoption, struct adopt_mistake *mistake)
{
    static const struct limit_settings settings;
    struct limit_slice one = {(const uint8_t *)"1", 1}, *ones = malloc(NUMBERED_MAX * sizeof *ones);
    struct limit_call *call = malloc(sizeof *call);
    struct adopt_room *room = malloc(sizeof *room);
    bool good = false;

    if (ones && call && room) {
        for (unsigned i = 0; i < NUMBERED_MAX; i++)
            ones[i] = one;
        room->adoption = adoption;
        good = fill(room, ones, NUMBERED_MAX, ones, NUMBERED_MAX) && parse(room, &settings, call);
        if (!good)
            mistake_is(mistake, "adopt", "%s: %s", adoption->row->name, strstr(room->error, "script: ") + 8);
        else if (call->wait_ms > 0 || call->fair)
            good = mistake_is(mistake, "adopt", "a script does not wait: neither WAIT nor FIFO is allowed");
    }
    free(ones);
    free(call);
    free(room);
    return good;
}

/* --- the table --- */

static bool read_adopt(struct adoption *adoption, struct adopt_mistake *mistake)
{
    const char *at = adoption->text;
    struct limit_slice sha = next_word(&at);

    if (!read_sha(adoption, &sha))
        return mistake_is(mistake, "adopt",
                          "does not begin with a script's SHA1, as in <40 hex digits> SEM.ACQUIRE "
                          "KEYS[1] 5 60000 ARGV[1]");
    struct limit_slice name = next_word(&at);
    adoption->row = command_find(name.bytes, name.len, NULL, 0);
    if (adopt_family_of(adoption->row) == ADOPT_FOREIGN)
        return mistake_is(mistake, "adopt",
                          "\"%.*s\" is none of SEM.ACQUIRE, RENEW, RELEASE, CHECK, REVOKE, LIM.GCRA, WINDOW, SLIDE, "
                          "REFUND, RESET and CL.THROTTLE",
                          (int)(name.len < 40 ? name.len : 40), (const char *)name.bytes);
    return read_words(adoption, at, mistake) && try_out(adoption, mistake);
}

static bool read_spec(struct adoption *adoption, const struct adopt_spec *spec, struct adopt_mistake *mistake)
{
    char error[ADOPT_ERROR_MAX];
    size_t len;

    adoption->name = strdup(spec->name);
    adoption->pattern = strdup(spec->pattern);
    adoption->text = strdup(spec->adopt);
    adoption->allow = spec->allow;
    if (!adoption->name || !adoption->pattern || !adoption->text)
        return false;
    adoption->pattern_len = strlen(adoption->pattern);
    if (!read_adopt(adoption, mistake))
        return false;
    if (!adopt_returns_read(&adoption->returns, adopt_family_of(adoption->row), spec->returns, error, sizeof error))
        return mistake_is(mistake, "returns", "%s", error);
    FILE *out = open_memstream(&adoption->after, &len);
    if (!out)
        return false;
    adopt_reply_lua(&adoption->returns, out);
    return fclose(out) == 0;
}

/* A rule that never holds is one its owner believes in. */
static bool is_twice(const struct adopt_table *table, const struct adoption *adoption, struct adopt_mistake *mistake)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct adoption *other = &table->adoptions[i];
        if (other != adoption && memcmp(other->sha, adoption->sha, SCRIPT_SHA_LEN) == 0 &&
            strcmp(other->pattern, adoption->pattern) == 0)
            return !mistake_is(mistake, "adopt", "is limit.%s's already, with the same keys", other->name);
    }
    return false;
}

struct adopt_table *adopt_table_new(const struct adopt_spec *specs, size_t n, struct adopt_mistake *mistake)
{
    struct adopt_table *table = calloc(1, sizeof *table + n * sizeof *table->adoptions);

    mistake->text[0] = '\0';
    for (size_t i = 0; table && i < n; i++) {
        struct adoption *adoption = &table->adoptions[i];

        table->n = i + 1;
        mistake->rule = i;
        if (!read_spec(adoption, &specs[i], mistake) || is_twice(table, adoption, mistake)) {
            adopt_table_free(table);
            return NULL;
        }
    }
    return table;
}

void adopt_table_free(struct adopt_table *table)
{
    for (size_t i = 0; table && i < table->n; i++) {
        free(table->adoptions[i].name);
        free(table->adoptions[i].pattern);
        free(table->adoptions[i].text);
        free(table->adoptions[i].after);
    }
    free(table);
}

size_t adopt_table_count(const struct adopt_table *table)
{
    return table->n;
}

const struct adoption *adopt_table_at(const struct adopt_table *table, size_t i)
{
    assert(i < table->n);
    return &table->adoptions[i];
}

static bool is_sha(const struct adoption *adoption, const uint8_t *sha)
{
    enum { CASE = 0x20 }; /* digits have this bit in any case */

    return (sha[0] | CASE) == adoption->sha[0] && strncasecmp(adoption->sha, (const char *)sha, SCRIPT_SHA_LEN) == 0;
}

bool adopt_table_has(const struct adopt_table *table, const uint8_t *sha, size_t len)
{
    for (size_t i = 0; i < table->n && len == SCRIPT_SHA_LEN; i++) {
        if (is_sha(&table->adoptions[i], sha))
            return true;
    }
    return false;
}

enum adopt_fit adopt_call(const struct adopt_table *table, const uint8_t *sha, const struct limit_slice *args,
                          uint32_t argc, const struct limit_settings *settings, struct limit_call *call,
                          struct adopt_room *room)
{
    const struct limit_slice *keys = args + 1;
    int64_t n_keys;

    if (argc < 1 || !number_read(args[0].bytes, args[0].len, &n_keys) || n_keys < 0 || n_keys > argc - 1)
        return ADOPT_NONE;
    for (size_t i = 0; i < table->n; i++) {
        const struct adoption *adoption = &table->adoptions[i];
        uint32_t key = adoption->words[0].n;

        if (!is_sha(adoption, sha) || (key <= n_keys && !pattern_matches(adoption->pattern, adoption->pattern_len,
                                                                         keys[key - 1].bytes, keys[key - 1].len)))
            continue;
        room->adoption = adoption;
        return fill(room, keys, (uint32_t)n_keys, keys + n_keys, argc - 1 - (uint32_t)n_keys) &&
                       parse(room, settings, call)
                   ? ADOPT_FITS
                   : ADOPT_MISFIT;
    }
    return ADOPT_NONE;
}
