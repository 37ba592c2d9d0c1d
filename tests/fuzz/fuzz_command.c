/*
 * Any words, one a line, as a command and as what is asked about commands: its row is the same in any case and fits in
 * the table; whatever is originated about it is one whole reply in its RESP version, also where the room ends; patterns
 * do as a naive matcher does; judging a pub/sub element leans on nothing behind its bytes.
 */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/command.h"
#include "protocol/glob.h"
#include "protocol/own_command.h"
#include "protocol/pubsub.h"
#include "protocol/reply.h"
#include "tests/unit/scan_feed.h"

enum { WORDS_MAX = 64, ROOM = OWN_ENTRY_MAX + WORDS_MAX * OWN_KEY_ROOM, PATTERN_MAX = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct word {
    const uint8_t *bytes;
    size_t len;
};

static unsigned split(const uint8_t *data, size_t size, struct word words[WORDS_MAX])
{
    unsigned n = 0;

    while (n < WORDS_MAX && size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) : size;
        words[n++] = (struct word){data, len};
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    return n;
}

/* --- the table --- */

static void check_row(const struct word *name, const struct word *sub)
{
    uint8_t *upper = exact_copy(name->bytes, name->len);
    const struct command *row = command_find(name->bytes, name->len, sub ? sub->bytes : NULL, sub ? sub->len : 0);

    for (size_t i = 0; i < name->len; i++)
        upper[i] = (uint8_t)(isascii(upper[i]) ? toupper(upper[i]) : upper[i]);
    assert(command_find(upper, name->len, sub ? sub->bytes : NULL, sub ? sub->len : 0) == row);
    assert(row && row->index < command_count() && (row->id == CMD_UNKNOWN || command_at(row->index) == row));
    assert(row->id == CMD_UNKNOWN || (row->name_len == name->len && !memcmp(row->name, upper, name->len)));
    assert(command_arity_ok(row, 1) || row->arity);
    free(upper);
}

/* --- what is originated --- */

/* `n` whole replies and nothing behind them; what the scanner refuses of RESP3 must not be in RESP2. */
static void check_replies(const struct reply_writer *w, unsigned n)
{
    struct reply_scan scan;
    size_t at = 0;

    for (; n; n--) {
        assert(feed_reply(&scan, w->bytes + at, w->len - at, &reply_limits_default, cuts_whole(w->len - at)) ==
               RESP_DONE);
        at += scan.pos;
    }
    assert(at == w->len);
}

static struct reply_writer fresh(uint8_t *bytes, size_t cap)
{
    return (struct reply_writer){.bytes = bytes, .cap = cap};
}

/* With little room the same bytes come, up to where it is full. */
static void check_short_room(const struct reply_writer *whole, void (*write)(struct reply_writer *, const void *),
                             const void *arg)
{
    const size_t caps[] = {0, whole->len / 2, whole->len - 1};

    for (unsigned i = 0; i < 3; i++) {
        size_t cap = caps[i];
        uint8_t *bytes = malloc(cap ? cap : 1);
        struct reply_writer w = fresh(bytes, cap);
        assert(bytes);
        write(&w, arg);
        assert(w.full && w.len <= cap && !memcmp(bytes, whole->bytes, w.len));
        free(bytes);
    }
}

static void write_error(struct reply_writer *w, const void *text)
{
    reply_error(w, text);
}

static void write_refusal(struct reply_writer *w, const void *row)
{
    reply_refused(w, row);
}

static void write_subscribed(struct reply_writer *w, const void *row)
{
    reply_subscribed(w, row);
}

static void check_written(void (*write)(struct reply_writer *, const void *), const void *arg)
{
    static uint8_t bytes[ROOM];
    struct reply_writer w = fresh(bytes, sizeof(bytes));

    write(&w, arg);
    if (w.full)
        return;
    check_replies(&w, 1);
    check_short_room(&w, write, arg);
}

static void check_values(const struct word *word, unsigned resp)
{
    static uint8_t bytes[ROOM];
    struct reply_writer w = fresh(bytes, sizeof(bytes));

    reply_push(&w, resp, 4);
    reply_bulk(&w, word->bytes, word->len);
    reply_integer(&w, word->len ? (int64_t)((uint64_t)word->bytes[0] << (word->bytes[0] & 63)) : INT64_MIN);
    reply_null(&w, resp);
    reply_set(&w, resp, 1);
    reply_verbatim(&w, resp, word->bytes, word->len);
    reply_map(&w, resp, 1);
    reply_simple(&w, "key");
    reply_array(&w, 0);
    check_replies(&w, 2);
}

static void check_own(unsigned i, unsigned resp, const uint8_t *command, size_t len)
{
    static const unsigned shapes[] = {6, 7, 10};
    static uint8_t bytes[ROOM];
    struct reply_writer w = fresh(bytes, OWN_ENTRY_MAX);
    struct request_args arguments;
    const uint8_t *name;
    size_t name_len;

    for (unsigned shape = 0; shape < 3; shape++, w = fresh(bytes, OWN_ENTRY_MAX)) {
        own_entry_info(&w, i, resp, shapes[shape]);
        check_replies(&w, 1);
    }
    own_entry_docs(&w, i, resp);
    assert(!w.full);
    check_replies(&w, 2);
    for (int with_flags = 0; with_flags < 2; with_flags++) {
        request_args_start(&arguments, command, len);
        request_args_next(&arguments, &name, &name_len);
        w = fresh(bytes, len + (size_t)arguments.left * OWN_KEY_ROOM);
        const char *error = own_entry_keys(&w, i, resp, with_flags, arguments);
        assert(!w.full && (error ? w.len == 0 : w.len > 0));
        check_replies(&w, error ? 0 : 1);
    }
}

/* --- patterns --- */

static bool in_brackets(const uint8_t **at, const uint8_t *end, uint8_t c)
{
    const uint8_t *p = *at + 1;
    bool negated = p < end && *p == '^', found = false;

    for (p += negated; p < end && *p != ']'; p++) {
        if (*p == '\\' && end - p >= 2) {
            found |= *++p == c;
        } else if (end - p >= 3 && p[1] == '-') {
            int low = tolower(p[0]), high = tolower(p[2]);
            found |= tolower(c) >= (low < high ? low : high) && tolower(c) <= (low < high ? high : low);
            p += 2;
        } else {
            found |= tolower(*p) == tolower(c);
        }
    }
    *at = p < end ? p + 1 : end;
    return found != negated;
}

/* By recursion, so only for short patterns. */
static bool naive(const uint8_t *p, const uint8_t *end, const char *text, const char *text_end)
{
    if (p == end)
        return text == text_end;
    if (*p == '*')
        return naive(p + 1, end, text, text_end) || (text < text_end && naive(p, end, text + 1, text_end));
    if (text == text_end)
        return false;
    if (*p == '?')
        return naive(p + 1, end, text + 1, text_end);
    if (*p == '[')
        return in_brackets(&p, end, (uint8_t)*text) && naive(p, end, text + 1, text_end);
    if (*p == '\\' && end - p >= 2)
        p++;
    return tolower(*p) == tolower((uint8_t)*text) && naive(p + 1, end, text + 1, text_end);
}

static void check_pattern(const struct word *pattern)
{
    uint32_t like = own_commands_like(pattern->bytes, pattern->len);

    assert(!(like & ~OWN_ALL) && !(own_commands_in(pattern->bytes, pattern->len) & ~OWN_ALL));
    for (unsigned i = 0; i < OWN_COMMANDS && pattern->len <= PATTERN_MAX; i++) {
        const char *name = own_command_at(i)->name;
        bool is_like = naive(pattern->bytes, pattern->bytes + pattern->len, name, name + strlen(name));
        assert(is_like == ((like >> i) & 1));
    }
}

/* --- pub/sub --- */

static void check_pubsub(const struct word *word)
{
    uint8_t *exact = exact_copy(word->bytes, word->len);
    struct pubsub_element whole = pubsub_classify(exact, word->len);
    uint64_t count = 0;

    assert(word->len <= 32 || pubsub_classify(exact, 32).kind == whole.kind);
    if (pubsub_count(exact, word->len, &count))
        assert(word->len > 3 && exact[word->len - 1] == '\n');
    free(exact);
}

static void check_error_text(const struct word *word)
{
    char *text = malloc(word->len + 1);

    assert(text);
    memcpy(text, word->bytes, word->len);
    text[word->len] = 0;
    check_written(write_error, text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t command[1 << 16];
    struct word words[WORDS_MAX];
    struct reply_writer w = fresh(command, sizeof(command));

    if (size < 2 || size > sizeof(command) / 4)
        return 0;
    unsigned resp = 2 + (data[0] & 1), n = split(data + 1, size - 1, words);
    reply_array(&w, n);
    for (unsigned i = 0; i < n; i++) {
        reply_bulk(&w, words[i].bytes, words[i].len);
        check_pattern(&words[i]);
        check_pubsub(&words[i]);
        check_values(&words[i], resp);
        check_error_text(&words[i]);
    }
    check_pubsub(&(struct word){data + 1, size - 1});
    check_row(&words[0], n > 1 ? &words[1] : NULL);
    const struct command *row =
        command_find(words[0].bytes, words[0].len, n > 1 ? words[1].bytes : NULL, n > 1 ? words[1].len : 0);
    check_written(write_refusal, row);
    check_written(write_subscribed, row);
    int own = own_command_find(words[0].bytes, words[0].len);
    if (own != OWN_NONE)
        check_own((unsigned)own, resp, w.bytes, w.len);
    return 0;
}
