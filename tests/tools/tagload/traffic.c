#include "tagload/traffic.h"

#include "tagload/client.h"
#include "tagload/say.h"

enum {
    SMALL_BATCH = 6000,    /* bytes a half-close may leave in flight: well below what sockets hold */
    LEAVE_PER_MILLE = 250, /* pipelines that are cut by a disconnect */
    POLITE_PER_MILLE = 50, /* pipelines that end with QUIT or a half-close */
    GROUP_SIZE = 6,        /* most replies of an ordinary group: keeps the depth within its bound */
    WAITING_GROUPS = 2,    /* the last ones of the table wait for others */
};

static const struct {
    void (*ask)(struct client *c);
    unsigned weight;
} groups[] = {
    {group_echo, 220},       {group_ping, 40},           {group_inline, 30},      {group_mark, 60},
    {group_set_get, 220},    {group_eval, 80},           {group_mget, 60},        {group_lrange, 50},
    {group_hgetall, 30},     {group_zrange, 30},         {group_wrong_type, 50},  {group_error_reply, 30},
    {group_wrong_arity, 20}, {group_unknown_command, 6}, {group_multi_burst, 80}, {group_select, 40},
    {group_name, 20},        {group_reply_skip, 20},     {group_reply_off, 10},   {group_change_resp, 6},
    {group_multi_split, 8},  {group_multi_aborted, 10},  {group_watch_clean, 10}, {group_watch_dirty, 10},
    {group_blpop, 10},       {group_pubsub, 5},
};

enum { N_GROUPS = sizeof(groups) / sizeof(groups[0]) };

static void add_group(struct client *c)
{
    static unsigned total;

    if (total == 0)
        for (unsigned i = 0; i < N_GROUPS; i++)
            total += groups[i].weight;
    unsigned pick = rng_below(&c->rng, total), i = 0;
    while (pick >= groups[i].weight)
        pick -= groups[i++].weight;
    group_begin(c);
    groups[i].ask(c);
}

/* Most pipelines leave in one write; some in pieces, down to a byte at a time. */
static void choose_slices(struct client *c)
{
    static const struct {
        uint32_t max, count;
    } styles[] = {{1, 150}, {7, 150}, {64, 100}, {1460, 100}, {1460, 1000}};
    uint32_t pick = rng_below(&c->rng, 12);

    c->slices_left = 0;
    if (pick < sizeof(styles) / sizeof(styles[0])) {
        c->slices_left = styles[pick].count;
        c->slice_max = styles[pick].max;
    }
}

static void choose_fate(struct client *c, uint64_t first_byte)
{
    uint32_t pick = rng_below(&c->rng, 1000);

    c->fate_reset = rng_below(&c->rng, 4) == 0;
    if (pick < LEAVE_PER_MILLE / 2) {
        c->fate = FATE_AT_BYTE;
        c->fate_at = first_byte + 1 + rng_below(&c->rng, (uint32_t)(c->queued - first_byte));
    } else if (pick < LEAVE_PER_MILLE && c->expected > c->matched) {
        c->fate = FATE_AT_REPLY;
        c->fate_at = c->matched + 1 + rng_below(&c->rng, (uint32_t)(c->expected - c->matched));
    }
}

/*
 * A last small pipeline whose replies are all wanted although this side has shut its direction. Earlier replies are
 * waited for first; blocking and subscribing are left out, because a server drops a waiting client that half-closes.
 */
static void end_by_half_close(struct client *c)
{
    size_t before = bytes_len(&c->out);
    uint32_t depth = rng_between(&c->rng, 1, 8);

    client_add_step(c, STEP_REPLIES, c->expected);
    do {
        group_begin(c);
        groups[rng_below(&c->rng, N_GROUPS - WAITING_GROUPS)].ask(c);
    } while (--depth > 0 && bytes_len(&c->out) - before < SMALL_BATCH);
    c->fate = FATE_HALF_CLOSE;
}

static void end_by_quit(struct client *c)
{
    for (uint32_t depth = rng_between(&c->rng, 1, 8); depth > 0; depth--)
        add_group(c);
    group_begin(c);
    ASK(c, text_of("QUIT"));
    answer(c, "+OK\r\n");
    c->fate = FATE_QUIT;
}

void traffic_open(struct client *c)
{
    group_begin(c);
    if (rng_below(&c->rng, 2))
        group_hello(c, 3);
    else if (rng_below(&c->rng, 4) == 0)
        group_hello(c, 2);
    traffic_next(c);
}

void traffic_next(struct client *c)
{
    uint64_t first_byte = c->queued, first_reply = c->expected;
    uint32_t depth = rng_between(&c->rng, 1, c->load->options.depth);

    choose_slices(c);
    c->low_water = rng_below(&c->rng, 2) ? 0 : rng_below(&c->rng, depth + 1) / 2;
    if (rng_per_mille(&c->rng, POLITE_PER_MILLE)) {
        c->fate_reset = false;
        if (rng_below(&c->rng, 2))
            end_by_half_close(c);
        else
            end_by_quit(c);
        return;
    }
    if (depth > c->load->options.depth / 2 && rng_below(&c->rng, 2))
        depth = rng_between(&c->rng, 1, 10);
    do
        add_group(c);
    while (c->expected - first_reply + GROUP_SIZE < depth);
    choose_fate(c, first_byte);
}
