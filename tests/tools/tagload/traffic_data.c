#include "tagload/say.h"
#include "tagload/traffic.h"

enum { VALUES = 6 };

/* The sha1 of the script below: EVALSHA of it follows an EVAL, so the server knows it. */
static const char return_script[] = "return ARGV[1]";
static const char return_sha[] = "098e0f0d1448c0a81dafe820f66d460eb09263da";

void group_echo(struct client *c)
{
    struct text tag = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("ECHO"), tag);
    answer_bulk(c, tag);
}

void group_ping(struct client *c)
{
    struct text tag = new_tag(c, PRINTABLE_TAG);

    ASK(c, text_of("PING"), tag);
    answer_bulk(c, tag);
}

/* Blank lines and empty commands have no reply and must not shift the others. */
void group_inline(struct client *c)
{
    static const char *const nothing[] = {"", "\r\n", "*0\r\n", "  \r\n"};
    struct text tag = new_word(c, PRINTABLE_TAG);
    struct bytes line = {0};

    bytes_addf(&line, "%sECHO %.*s\r\n", nothing[rng_below(&c->rng, 4)], (int)tag.len, tag.p);
    ask_encoded(c, &line);
    bytes_free(&line);
    answer_bulk(c, tag);
}

void group_mark(struct client *c)
{
    char key[MARK_LEN], mark[MARK_LEN];

    ASK(c, text_of("SRANDMEMBER"), mark_key(c->load, key));
    answer_bulk(c, mark_of(c->load, c->db, mark));
}

void group_set_get(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("SET"), key, tag, text_of("EX"), text_of("60"));
    answer(c, "+OK\r\n");
    ASK(c, text_of(rng_below(&c->rng, 2) ? "GET" : "GETDEL"), key);
    struct expect *e = answer_bulk(c, tag);
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, null_reply(c));
}

void group_eval(struct client *c)
{
    struct text tag = new_tag(c, LONGEST_TAG), other = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("EVAL"), text_of(return_script), text_of("0"), tag);
    answer_bulk(c, tag);
    if (rng_below(&c->rng, 2)) {
        ASK(c, text_of("EVALSHA"), text_of(return_sha), text_of("0"), other);
        struct expect *e = answer_bulk(c, other);
        or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
        return;
    }
    ASK(c, text_of("EVAL"), text_of("return {ARGV[1],{ARGV[2],7},{}}"), text_of("0"), other, tag);
    struct bytes *b = expect_alternative(answer_of_kind(c, EXPECT_EXACT), WHEN_ALWAYS);
    bytes_addf(b, "*3\r\n");
    bytes_bulk(b, other);
    bytes_addf(b, "*2\r\n");
    bytes_bulk(b, tag);
    bytes_addf(b, ":7\r\n*0\r\n");
}

void group_mget(struct client *c)
{
    struct text a = new_key(c, "a"), b = new_key(c, "b"), none = new_key(c, "none");
    struct text tag_a = new_tag(c, PRINTABLE_TAG), tag_b = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("MSET"), a, tag_a, b, tag_b);
    answer(c, "+OK\r\n");
    ASK(c, text_of("MGET"), a, none, b);
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    struct bytes *all = expect_alternative(e, WHEN_ALWAYS);
    bytes_addf(all, "*3\r\n");
    bytes_bulk(all, tag_a);
    bytes_addf(all, "%s", null_reply(c));
    bytes_bulk(all, tag_b);
    const char *null = null_reply(c);
    bytes_addf(expect_alternative(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE), "*3\r\n%s%s%s", null, null, null);
    ASK(c, text_of("DEL"), a, b);
    e = answer(c, ":2\r\n");
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, ":0\r\n");
}

void group_lrange(struct client *c)
{
    struct text key = new_key(c, "l"), tags[VALUES], push[VALUES + 2] = {text_of("RPUSH"), key};
    unsigned n = rng_between(&c->rng, 1, VALUES);

    for (unsigned i = 0; i < n; i++)
        push[i + 2] = tags[i] = new_tag(c, LONGEST_TAG);
    ask_args(c, n + 2, push);
    bytes_addf(expect_alternative(answer_of_kind(c, EXPECT_EXACT), WHEN_ALWAYS), ":%u\r\n", n);
    ASK(c, text_of("LRANGE"), key, text_of("0"), text_of("-1"));
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    struct bytes *all = expect_alternative(e, WHEN_ALWAYS);
    bytes_addf(all, "*%u\r\n", n);
    for (unsigned i = 0; i < n; i++)
        bytes_bulk(all, tags[i]);
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, "*0\r\n");
    ASK(c, text_of("DEL"), key);
    e = answer(c, ":1\r\n");
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, ":0\r\n");
}

/* A map in RESP3, a flat array in RESP2: a reply of the other version on this connection is a wrong one. */
void group_hgetall(struct client *c)
{
    struct text key = new_key(c, "h"), field = text_of("field"), tag = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("HSET"), key, field, tag);
    answer(c, ":1\r\n");
    ASK(c, text_of("HGETALL"), key);
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    struct bytes *all = expect_alternative(e, WHEN_ALWAYS);
    bytes_addf(all, c->resp == 3 ? "%%1\r\n" : "*2\r\n");
    bytes_bulk(all, field);
    bytes_bulk(all, tag);
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, c->resp == 3 ? "%0\r\n" : "*0\r\n");
    ASK(c, text_of("EXPIRE"), key, text_of("60"));
    e = answer(c, ":1\r\n");
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, ":0\r\n");
}

void group_zrange(struct client *c)
{
    struct text key = new_key(c, "z"), tag = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("ZADD"), key, text_of("1.5"), tag);
    answer(c, ":1\r\n");
    ASK(c, text_of("ZRANGE"), key, text_of("0"), text_of("-1"), text_of("WITHSCORES"));
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    struct bytes *all = expect_alternative(e, WHEN_ALWAYS);
    bytes_addf(all, c->resp == 3 ? "*1\r\n*2\r\n" : "*2\r\n");
    bytes_bulk(all, tag);
    bytes_addf(all, c->resp == 3 ? ",1.5\r\n" : "$3\r\n1.5\r\n");
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, "*0\r\n");
    ASK(c, text_of("DEL"), key);
    e = answer(c, ":1\r\n");
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, ":0\r\n");
}

void group_wrong_type(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, PRINTABLE_TAG);

    ASK(c, text_of("SET"), key, tag, text_of("EX"), text_of("60"));
    answer(c, "+OK\r\n");
    ASK(c, text_of("HGET"), key, text_of("field"));
    struct expect *e = answer(c, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, null_reply(c));
    ASK(c, text_of("GETDEL"), key);
    e = answer_bulk(c, tag);
    or_else(e, WHEN_UNKNOWN | WHEN_UNAVAILABLE, null_reply(c));
}

void group_error_reply(struct client *c)
{
    struct text word = new_word(c, LONGEST_TAG);

    ASK(c, text_of("EVAL"), text_of("return redis.error_reply('TAG ' .. ARGV[1])"), text_of("0"), word);
    struct bytes *b = expect_alternative(answer_of_kind(c, EXPECT_EXACT), WHEN_ALWAYS);
    bytes_addf(b, "-TAG ");
    bytes_add(b, word.p, word.len);
    bytes_addf(b, "\r\n");
}

void group_wrong_arity(struct client *c)
{
    ASK(c, text_of("GET"));
    answer(c, "-ERR wrong number of arguments for 'get' command\r\n");
    group_ping(c);
}

void group_unknown_command(struct client *c)
{
    struct text word = new_word(c, PRINTABLE_TAG);

    ASK(c, text_of("NOSUCHCOMMAND"), word);
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    e->pin = true;
    bytes_addf(expect_alternative(e, WHEN_ALWAYS),
               "-ERR unknown command 'NOSUCHCOMMAND', with args beginning with: '%.*s' \r\n", (int)word.len, word.p);
}
