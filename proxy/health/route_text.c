/* One decision as one line of text, and back. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/route.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char held_mark[] = "(held)";
static const char *const failbacks[] = {"auto", "manual", "sticky"};
static const char *const flags[] = {"no", "yes"};
static const char *const whys[] = {"first", "kept", "pinned", "failover", "failback", "waiting", "all_down"};

const char *route_why_text(enum route_why why)
{
    assert((size_t)why < COUNT(whys));
    return whys[why];
}

const char *route_failback_text(enum failback failback)
{
    assert((size_t)failback < COUNT(failbacks));
    return failbacks[failback];
}

/* ---- writing ---- */

struct writer {
    char *text;
    size_t len;  /* of `text` */
    size_t used; /* of the whole line, whether there is room for it or not */
};

static void put(struct writer *writer, const char *bytes)
{
    size_t n = strlen(bytes);
    size_t room = writer->used + 1 < writer->len ? writer->len - 1 - writer->used : 0;

    if (room)
        memcpy(writer->text + writer->used, bytes, n < room ? n : room);
    writer->used += n;
}

static void put_pair(struct writer *writer, const char *key, const char *value)
{
    put(writer, key);
    put(writer, value);
}

static void put_index(struct writer *writer, const char *key, int index)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", index);
    put_pair(writer, key, index == ROUTE_NONE ? "none" : number);
}

int route_format(char *text, size_t len, const struct route_input *input, struct route_choice choice)
{
    struct writer writer = {.text = text, .len = len};

    put(&writer, "in=");
    for (unsigned i = 0; i < input->n; i++) {
        put_pair(&writer, i ? "," : "", health_state_name(input->state[i]));
        put(&writer, input->held[i] ? held_mark : "");
    }
    put_index(&writer, " current=", input->current);
    put_index(&writer, " pinned=", input->pinned);
    put_pair(&writer, " failback=", route_failback_text(input->failback));
    put_pair(&writer, " grace=", flags[input->grace]);
    put_index(&writer, " out=", choice.index);
    put_pair(&writer, " why=", route_why_text(choice.why));
    if (len)
        text[writer.used < len ? writer.used : len - 1] = '\0';
    return (int)writer.used;
}

/* ---- reading ---- */

struct reader {
    const char *at;
    bool failed;
    char *error;
    size_t error_len;
};

/* Only the first mistake is told. */
static void complain(struct reader *reader, const char *wanted)
{
    if (!reader->failed)
        snprintf(reader->error, reader->error_len, "%s is expected at \"%.40s\"", wanted, reader->at);
    reader->failed = true;
}

static bool take(struct reader *reader, const char *bytes)
{
    size_t len = strlen(bytes);

    if (reader->failed || strncmp(reader->at, bytes, len) != 0)
        return false;
    reader->at += len;
    return true;
}

static void take_key(struct reader *reader, const char *key)
{
    if (!take(reader, key))
        complain(reader, key);
}

/* No word here is the beginning of another one of its table. */
static unsigned take_word(struct reader *reader, const char *const *words, unsigned n, const char *wanted)
{
    for (unsigned i = 0; i < n; i++)
        if (take(reader, words[i]))
            return i;
    complain(reader, wanted);
    return 0;
}

static enum health_state take_state(struct reader *reader)
{
    for (int state = HEALTH_UNKNOWN; state <= HEALTH_WRONG; state++)
        if (take(reader, health_state_name((enum health_state)state)))
            return (enum health_state)state;
    complain(reader, "a state");
    return HEALTH_UNKNOWN;
}

static void take_backends(struct reader *reader, struct route_input *input)
{
    take_key(reader, "in=");
    if (*reader->at == ' ')
        return;
    do {
        if (input->n == ROUTE_BACKENDS_MAX) {
            complain(reader, "the end of so many backends");
            return;
        }
        input->state[input->n] = take_state(reader);
        input->held[input->n++] = take(reader, held_mark);
    } while (take(reader, ","));
}

/* "none", or the number of one of the `n` backends without leading zeros. */
static int take_index(struct reader *reader, const char *key, unsigned n)
{
    const char *begin;
    char *end;
    long index;

    take_key(reader, key);
    if (take(reader, "none"))
        return ROUTE_NONE;
    begin = reader->at;
    index = *begin >= '0' && *begin <= '9' ? strtol(begin, &end, 10) : LONG_MAX;
    if (index >= (long)n || (*begin == '0' && end != begin + 1)) {
        complain(reader, "none or the number of a backend");
        return ROUTE_NONE;
    }
    reader->at = end;
    return (int)index;
}

bool route_parse(const char *text, struct route_input *input, struct route_choice *choice, char *error,
                 size_t error_len)
{
    struct reader reader = {.at = text, .error = error, .error_len = error_len};

    *input = (struct route_input){0};
    take_backends(&reader, input);
    input->current = take_index(&reader, " current=", input->n);
    input->pinned = take_index(&reader, " pinned=", input->n);
    take_key(&reader, " failback=");
    input->failback = (enum failback)take_word(&reader, failbacks, COUNT(failbacks), "auto, manual or sticky");
    take_key(&reader, " grace=");
    input->grace = take_word(&reader, flags, COUNT(flags), "yes or no");
    choice->index = take_index(&reader, " out=", input->n);
    take_key(&reader, " why=");
    choice->why = (enum route_why)take_word(&reader, whys, COUNT(whys), "a reason");
    if (*reader.at)
        complain(&reader, "the end");
    return !reader.failed;
}
