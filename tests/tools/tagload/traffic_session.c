#include "tagload/say.h"
#include "tagload/traffic.h"

enum { LONGEST_PAUSE_MS = 12 };

/* Replies inside a transaction that may have been refused at its MULTI: then its commands ran one by one. */
enum { WHEN_REFUSED = WHEN_UNKNOWN | WHEN_UNAVAILABLE };

void group_hello(struct client *c, unsigned resp)
{
    ASK(c, text_of("HELLO"), text_of(resp == 3 ? "3" : "2"));
    struct expect *e = answer_of_kind(c, EXPECT_CONTAINS);
    bytes_addf(expect_alternative(e, WHEN_ALWAYS), "$5\r\nproto\r\n:%u\r\n", resp);
    e->fatal = true;
    c->resp = resp;
}

void group_change_resp(struct client *c)
{
    group_hello(c, c->resp == 3 ? 2 : 3);
    group_begin(c);
    group_zrange(c);
}

/* A key set in one database must not be seen in another, and the client may stay in any of them. */
void group_select(struct client *c)
{
    unsigned home = rng_below(&c->rng, DATABASES), away = (home + 1 + rng_below(&c->rng, DATABASES - 1)) % DATABASES;

    ask_select(c, home);
    struct text key = new_key(c, "k"), tag = new_tag(c, PRINTABLE_TAG);
    ASK(c, text_of("SET"), key, tag, text_of("EX"), text_of("60"));
    answer(c, "+OK\r\n");
    ask_select(c, away);
    ASK(c, text_of("GET"), key);
    answer_null(c);
    if (rng_below(&c->rng, 2))
        return;
    ask_select(c, home);
    ASK(c, text_of("GET"), key);
    or_else(answer_bulk(c, tag), WHEN_REFUSED, null_reply(c));
}

void group_name(struct client *c)
{
    struct text word = new_word(c, PRINTABLE_TAG);

    ASK(c, text_of("CLIENT"), text_of("SETNAME"), word);
    answer(c, "+OK\r\n")->fatal = true;
    group_begin(c);
    group_echo(c);
    word = new_word(c, 0);
    ASK(c, text_of("CLIENT"), text_of("SETNAME"), word);
    answer(c, "+OK\r\n")->fatal = true;
    ASK(c, text_of("CLIENT"), text_of("GETNAME"));
    answer_bulk(c, word);
}

void group_reply_skip(struct client *c)
{
    struct text unheard = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("CLIENT"), text_of("REPLY"), text_of("SKIP"));
    ASK(c, text_of("ECHO"), unheard);
    group_echo(c);
}

void group_reply_off(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, LONGEST_TAG);

    ASK(c, text_of("CLIENT"), text_of("REPLY"), text_of("OFF"));
    for (uint32_t n = rng_below(&c->rng, 4); n > 0; n--)
        ASK(c, text_of("ECHO"), tag);
    ASK(c, text_of("SET"), key, tag, text_of("EX"), text_of("60"));
    ASK(c, text_of("CLIENT"), text_of("REPLY"), text_of("ON"));
    answer(c, "+OK\r\n")->fatal = true;
    ASK(c, text_of("GETDEL"), key);
    /* Whether a fault met the SET nobody was told. */
    or_else(answer_bulk(c, tag), WHEN_FAULTS | WHEN_REFUSED, null_reply(c));
}

static void multi(struct client *c)
{
    ASK(c, text_of("MULTI"));
    answer(c, "+OK\r\n")->session = STATE_OPEN;
}

static struct expect *exec(struct client *c, struct text tag)
{
    ASK(c, text_of("EXEC"));
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    struct bytes *b = expect_alternative(e, WHEN_ALWAYS);
    bytes_addf(b, "*2\r\n+OK\r\n");
    bytes_bulk(b, tag);
    or_else(e, WHEN_REFUSED, "-ERR EXEC without MULTI\r\n");
    or_else(e, WHEN_REFUSED, "-EXECABORT Transaction discarded because of previous errors.\r\n");
    e->session = STATE_CLOSE;
    return e;
}

static void queued_set(struct client *c, struct text key, struct text tag)
{
    ASK(c, text_of("SET"), key, tag, text_of("EX"), text_of("60"));
    or_else(answer(c, "+QUEUED\r\n"), WHEN_REFUSED, "+OK\r\n");
}

static void queued_get(struct client *c, struct text key, struct text tag)
{
    ASK(c, text_of("GET"), key);
    struct expect *e = answer(c, "+QUEUED\r\n");
    or_bulk(e, WHEN_REFUSED, tag);
    or_else(e, WHEN_REFUSED, null_reply(c));
}

void group_multi_burst(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, LONGEST_TAG);

    multi(c);
    queued_set(c, key, tag);
    queued_get(c, key, tag);
    exec(c, tag);
}

/* Typed by hand, as it were: a pause in the middle, with or without waiting for the replies. */
void group_multi_split(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, LONGEST_TAG);

    multi(c);
    queued_set(c, key, tag);
    if (rng_below(&c->rng, 2))
        client_add_step(c, STEP_REPLIES, c->expected);
    client_add_step(c, STEP_PAUSE, rng_between(&c->rng, 1, LONGEST_PAUSE_MS));
    queued_get(c, key, tag);
    exec(c, tag)->pin = true;
}

void group_multi_aborted(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, PRINTABLE_TAG);

    multi(c);
    queued_set(c, key, tag);
    if (rng_below(&c->rng, 2)) {
        ASK(c, text_of("DISCARD"));
        struct expect *e = answer(c, "+OK\r\n");
        or_else(e, WHEN_REFUSED, "-ERR DISCARD without MULTI\r\n");
        e->session = STATE_CLOSE;
    } else {
        ASK(c, text_of("GET"));
        answer(c, "-ERR wrong number of arguments for 'get' command\r\n");
        ASK(c, text_of("EXEC"));
        struct expect *e = answer(c, "-EXECABORT Transaction discarded because of previous errors.\r\n");
        or_else(e, WHEN_REFUSED, "-ERR EXEC without MULTI\r\n");
        e->session = STATE_CLOSE;
    }
    ASK(c, text_of("GET"), key);
    struct expect *e = answer_null(c);
    or_bulk(e, WHEN_REFUSED, tag);
}

static void watch(struct client *c, struct text key)
{
    ASK(c, text_of("WATCH"), key);
    struct expect *e = answer(c, "+OK\r\n");
    e->fatal = true;
    e->session = STATE_OPEN;
}

void group_watch_clean(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, LONGEST_TAG);

    watch(c, key);
    ASK(c, text_of("GET"), key);
    answer_null(c);
    if (rng_below(&c->rng, 2))
        client_add_step(c, STEP_REPLIES, c->expected);
    multi(c);
    queued_set(c, key, tag);
    queued_get(c, key, tag);
    exec(c, tag)->pin = true;
}

/* The client itself changes what it watches: EXEC must refuse. */
void group_watch_dirty(struct client *c)
{
    struct text key = new_key(c, "k"), tag = new_tag(c, PRINTABLE_TAG), never = new_tag(c, PRINTABLE_TAG);

    watch(c, key);
    ASK(c, text_of("SET"), key, tag, text_of("EX"), text_of("60"));
    answer(c, "+OK\r\n");
    multi(c);
    queued_set(c, key, never);
    ASK(c, text_of("EXEC"));
    struct expect *e = answer(c, c->resp == 3 ? "_\r\n" : "*-1\r\n");
    e->pin = true;
    e->session = STATE_CLOSE;
    ASK(c, text_of("GETDEL"), key);
    answer_bulk(c, tag);
}

static void have_partner(struct client *c, const char *command, struct text key, struct text tag)
{
    const struct text args[] = {text_of(command), key, tag};

    encode_args(client_add_errand(c), 3, args);
}

void group_blpop(struct client *c)
{
    struct text key = new_key(c, "l"), tag = new_tag(c, LONGEST_TAG);
    bool push_first = rng_below(&c->rng, 2);

    if (push_first)
        have_partner(c, "RPUSH", key, tag);
    ASK(c, text_of("BLPOP"), key, text_of("0"));
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    struct bytes *b = expect_alternative(e, WHEN_ALWAYS);
    bytes_addf(b, "*2\r\n");
    bytes_bulk(b, key);
    bytes_bulk(b, tag);
    e->pin = true;
    if (push_first)
        return;
    client_add_step(c, STEP_PAUSE, rng_between(&c->rng, 1, LONGEST_PAUSE_MS));
    have_partner(c, "RPUSH", key, tag);
}

/* The reply to (UN)SUBSCRIBE of one channel: a push in RESP3. */
static struct expect *subscription(struct client *c, const char *what, struct text channel, unsigned count)
{
    struct expect *e = answer_of_kind(c, EXPECT_EXACT);
    struct bytes *b = expect_alternative(e, WHEN_ALWAYS);

    bytes_addf(b, c->resp == 3 ? ">3\r\n" : "*3\r\n");
    bytes_bulk(b, text_of(what));
    bytes_bulk(b, channel);
    bytes_addf(b, ":%u\r\n", count);
    return e;
}

static void published(struct client *c, struct text channel, struct text tag)
{
    struct expect *e = expect_new(EXPECT_EXACT);
    struct bytes *b = expect_alternative(e, WHEN_ALWAYS);

    bytes_addf(b, c->resp == 3 ? ">3\r\n" : "*3\r\n");
    bytes_bulk(b, text_of("message"));
    bytes_bulk(b, channel);
    bytes_bulk(b, tag);
    STAILQ_INSERT_TAIL(&c->messages, e, link);
    c->messages_expected++;
    have_partner(c, "PUBLISH", channel, tag);
}

void group_pubsub(struct client *c)
{
    struct text one = new_key(c, "one"), two = new_key(c, "two");

    c->listening++;
    ASK(c, text_of("SUBSCRIBE"), one, two);
    struct expect *e = subscription(c, "subscribe", one, 1);
    e->fatal = true;
    e->session = STATE_OPEN;
    subscription(c, "subscribe", two, 2);
    client_add_step(c, STEP_REPLIES, c->expected);
    published(c, two, new_tag(c, LONGEST_TAG));
    /* In RESP3 ordinary commands go on while subscribed. */
    if (c->resp == 3)
        group_set_get(c);
    client_add_step(c, STEP_MESSAGES, c->messages_expected);
    published(c, one, new_tag(c, PRINTABLE_TAG));
    client_add_step(c, STEP_MESSAGES, c->messages_expected);
    ASK(c, text_of("UNSUBSCRIBE"), one, two);
    subscription(c, "unsubscribe", one, 1);
    e = subscription(c, "unsubscribe", two, 0);
    e->pin = true;
    e->session = STATE_CLOSE;
    e->unsubscribed = true;
}
