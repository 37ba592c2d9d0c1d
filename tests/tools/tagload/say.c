#include "tagload/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char scratch[65536];
static size_t scratch_used;

static char *scratch_take(size_t len)
{
    char *p = scratch + scratch_used;

    if (scratch_used + len > sizeof(scratch))
        abort();
    scratch_used += len;
    return p;
}

void group_begin(struct client *c)
{
    scratch_used = 0;
    c->group++;
    c->group_begins = true;
}

struct text new_key(struct client *c, const char *name)
{
    char *p = scratch_take(80);
    int len = snprintf(p, 80, "%s:%u:%u:%u:%x", name, c->id, c->generation, c->group, c->load->run_id);

    return (struct text){p, (size_t)len};
}

static struct text tag_with(struct client *c, unsigned max_padding, const char *alphabet, unsigned letters)
{
    char *p = scratch_take(80 + max_padding);
    int len = snprintf(p, 80, "c%u.g%u.n%u.d%u.r%x:", c->id, c->generation, c->group, c->db, c->load->run_id);
    unsigned padding = rng_below(&c->rng, 5) == 0 ? max_padding : max_padding / 32;

    padding = rng_below(&c->rng, padding + 1);
    for (unsigned i = 0; i < padding; i++)
        p[len + (int)i] = alphabet[rng_below(&c->rng, letters)];
    return (struct text){p, (size_t)len + padding};
}

struct text new_tag(struct client *c, unsigned max_padding)
{
    static const char resp_like[] = "\r\n\r\n$*+-:_>%012345abc\0\xff";

    return tag_with(c, max_padding, resp_like, sizeof(resp_like) - 1);
}

struct text new_word(struct client *c, unsigned max_padding)
{
    static const char printable[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    return tag_with(c, max_padding, printable, sizeof(printable) - 1);
}

struct text mark_key(const struct load *load, char room[MARK_LEN])
{
    return (struct text){room, (size_t)snprintf(room, MARK_LEN, "mark:%x", load->run_id)};
}

struct text mark_of(const struct load *load, unsigned db, char room[MARK_LEN])
{
    return (struct text){room, (size_t)snprintf(room, MARK_LEN, "db%u.r%x", db, load->run_id)};
}

void encode_args(struct bytes *b, size_t argc, const struct text *argv)
{
    bytes_addf(b, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++)
        bytes_bulk(b, argv[i]);
}

void ask_args(struct client *c, size_t argc, const struct text *argv)
{
    size_t before = bytes_len(&c->out);

    encode_args(&c->out, argc, argv);
    c->queued += bytes_len(&c->out) - before;
    c->load->counters.requests++;
}

void ask_encoded(struct client *c, const struct bytes *request)
{
    bytes_add(&c->out, bytes_front(request), bytes_len(request));
    c->queued += bytes_len(request);
    c->load->counters.requests++;
}

struct expect *answer_of_kind(struct client *c, enum expect_kind kind)
{
    struct expect *e = expect_new(kind);

    e->starts_group = c->group_begins;
    c->group_begins = false;
    c->expected++;
    STAILQ_INSERT_TAIL(&c->expects, e, link);
    return e;
}

struct expect *answer(struct client *c, const char *raw)
{
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);

    or_else(e, WHEN_ALWAYS, raw);
    return e;
}

struct expect *answer_bulk(struct client *c, struct text value)
{
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);

    or_bulk(e, WHEN_ALWAYS, value);
    return e;
}

struct expect *answer_null(struct client *c)
{
    return answer(c, null_reply(c));
}

void or_else(struct expect *e, unsigned when, const char *raw)
{
    bytes_add(expect_alternative(e, when), raw, strlen(raw));
}

void or_bulk(struct expect *e, unsigned when, struct text value)
{
    bytes_bulk(expect_alternative(e, when), value);
}

const char *null_reply(const struct client *c)
{
    return c->resp == 3 ? "_\r\n" : "$-1\r\n";
}

void ask_select(struct client *c, unsigned db)
{
    ASK(c, text_of("SELECT"), (struct text){&"0123456789"[db], 1});
    answer(c, "+OK\r\n")->fatal = true;
    c->db = db;
}
