/*
 * What a rule is sent with and learns while whole crowds of clients check and act: the share of places in use, the most
 * holders at once, and what an operator is told.
 */
#include "repair_sim.h"

static struct sim sim;

static const struct sim_way usual = {
    .clients = 12, .client_max = 5, .rule_max = 5, .pause_us = 20000, .hold_us = SIM_S, .retry_us = 300000};

static int finish(void **state)
{
    (void)state;
    sim_close(&sim);
    return 0;
}

/* A minute to learn, then two that count. */
static void watch(struct sim_way way)
{
    sim_open(&sim, &way);
    sim_run(&sim, 60);
    sim_reset(&sim);
    sim_run(&sim, 120);
}

static const struct repair_learn *learnt(void)
{
    return repair_watch_learn(sim.watch, 0);
}

static const struct repair_stats *stats(void)
{
    return repair_watch_stats(sim.watch, 0);
}

static void test_every_way_of_connecting(void **state)
{
    static const unsigned connections[] = {0, 1, 6}, clients[] = {12, 64};
    (void)state;

    for (unsigned i = 0; i < 6; i++) {
        struct sim_way way = usual;

        way.connections = connections[i / 2];
        way.clients = clients[i % 2];
        watch(way);
        assert_true(sim.most == 5 && sim.late == 0 && sim_use(&sim) > 0.9);
        assert_int_equal(stats()->unused, 0);
        assert_int_equal(learnt()->stops_at, 0);
        assert_int_equal(repair_learn_hold_us(learnt()), SIM_S);
        if (i < 5)
            sim_close(&sim);
    }
}

static void test_pauses_are_learnt_whatever_the_connections(void **state)
{
    static const unsigned connections[] = {0, 1, 6};
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        struct sim_way way = usual;

        way.connections = connections[i];
        way.pause_us = 100000; /* up to 200 ms */
        watch(way);
        assert_true(sim.most == 5 && sim.late == 0);
        assert_in_range(repair_learn_hold_us(learnt()), 4 * 200000, 16 * 200000);
        if (i < 2)
            sim_close(&sim);
    }
}

/* Half of the pauses are longer than the hold that it begins with. */
static void test_late_acts_make_it_wait_longer(void **state)
{
    struct sim_way way = usual;
    (void)state;

    way.pause_us = SIM_S;
    watch(way);
    assert_true(stats()->late > 0 && stats()->late < 10);
    assert_true(sim.most == 5 && sim.late == 0);
    assert_int_equal(repair_learn_hold_us(learnt()), 5 * SIM_S);
}

/* Without learning nobody would ever get in again: each refuses itself, and reserves. */
static void test_a_rule_that_allows_more_than_its_clients(void **state)
{
    static const unsigned connections[] = {0, 1, 6};
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        struct sim_way way = usual;

        way.rule_max = 8;
        way.connections = connections[i];
        watch(way);
        assert_int_equal(learnt()->stops_at, 5);
        assert_true(sim.most == 5 && sim_use(&sim) > 0.8);
        if (i < 2)
            sim_close(&sim);
    }
}

static void test_clients_that_come_to_allow_more(void **state)
{
    struct sim_way way = usual;
    (void)state;

    way.rule_max = 8;
    way.client_max = 3;
    watch(way);
    assert_int_equal(learnt()->stops_at, 3);
    sim.way.client_max = 6;
    sim_run(&sim, 240);
    assert_int_equal(learnt()->stops_at, 6);
    sim_reset(&sim);
    sim_run(&sim, 60);
    assert_true(sim.most == 6 && sim_use(&sim) > 0.8);
}

/* The first that acts although it was refused gives it away. */
static void test_a_rule_that_allows_less_than_its_clients(void **state)
{
    static const unsigned connections[] = {0, 6};
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        struct sim_way way = usual;

        way.client_max = 12;
        way.connections = connections[i];
        sim_open(&sim, &way);
        sim_run(&sim, 60);
        assert_true(learnt()->goes_on && sim.most <= 6 && stats()->late <= 2);
        sim_reset(&sim);
        sim_run(&sim, 120);
        assert_true(sim.most == 5 && sim.late == 0);
        if (i < 1)
            sim_close(&sim);
    }
}

static void test_monitors_do_not_keep_clients_out(void **state)
{
    static const struct {
        int64_t max;
        unsigned hz, connections;
        bool in_pool;
        double use;
    } cases[] = {{5, 5, 0, false, 0.8}, {2, 5, 0, false, 0.8}, {2, 20, 0, false, 0.7},
                 {2, 5, 6, true, 0.6},  {5, 5, 6, false, 0.8}, {5, 5, 6, true, 0.5}};
    (void)state;

    for (unsigned i = 0; i < 6; i++) {
        struct sim_way way = usual;

        way.client_max = way.rule_max = cases[i].max;
        way.monitor_hz = cases[i].hz;
        way.connections = cases[i].connections;
        way.monitor_in_pool = cases[i].in_pool;
        watch(way);
        if (sim.most > cases[i].max || sim_use(&sim) < cases[i].use)
            fail_msg("case %u: %.2f in use, at most %u at once", i, sim_use(&sim), sim.most);
        assert_true(stats()->unused > 0 && stats()->unused < stats()->checks / 20);
        if (i < 5)
            sim_close(&sim);
    }
}

static void test_observing_finds_the_race_and_the_maximum(void **state)
{
    struct sim_way way = usual;
    (void)state;

    way.observe = true;
    way.rule_max = 0;
    way.pause_us = 100000;
    watch(way);
    assert_int_equal(learnt()->stops_at, 5);
    assert_true(sim.most > 6 && stats()->most > 6 && stats()->above > 100 && stats()->overlaps > 100);
    assert_true(stats()->refused == 0 && stats()->late == 0 && stats()->unasked == 0);
    sim_close(&sim);
    way.clients = 2;
    way.client_max = 1;
    way.pause_us = 0;
    watch(way);
    assert_true(stats()->overlaps == 0 && stats()->above == 0 && stats()->acts > 50);
}

/* One command by hand. */
static struct repair_command command;
static struct repair_client client = {.owner = 9};
static struct limit_slice args[8];

static void parse(const char *text)
{
    static char words[256];
    char *rest = strcpy(words, text), *word;
    uint32_t argc = 0;

    while ((word = strsep(&rest, " ")))
        args[argc++] = (struct limit_slice){(const uint8_t *)word, strlen(word)};
    assert_true(repair_classify(&command, sim.table, command_find(args[0].bytes, args[0].len, NULL, 0), args, argc));
}

static void replied(const char *text, const char *reply, const struct repair_terms *terms)
{
    parse(text);
    repair_watch_reply(sim.watch, &command, &client, terms, (const uint8_t *)reply, strlen(reply), sim.now_us,
                       sim.now_us);
}

static void open_rule(const struct repair_rule *rule)
{
    sim = (struct sim){.now_us = SIM_S};
    sim.table = repair_table_new(rule, 1);
    sim.watch = repair_watch_new(sim.table, 64, 3);
    assert_non_null(sim.watch);
}

static void test_terms(void **state)
{
    struct repair_rule rule = {.name = "r", .pattern = "*", .kind = REPAIR_ZSET, .max = 3};
    struct repair_terms terms, other;
    (void)state;

    open_rule(&rule);
    parse("ZCARD k");
    repair_watch_terms(sim.watch, &command, &client, 3, 0, &terms);
    repair_watch_terms(sim.watch, &command, &client, 2, 0, &other);
    assert_true(terms.max == 3 && terms.refused == 3 && terms.owner == 9 && terms.resp == 3 && !terms.free_only);
    assert_in_range(terms.hold_us, SIM_S, SIM_S * 9 / 8);
    assert_true(terms.number != other.number && terms.number > 0);
    client.looks = true;
    repair_watch_terms(sim.watch, &command, &client, 2, 0, &terms);
    assert_true(terms.hold_us == 0 && terms.free_only);
    replied("ZCARD k", ":2\r\n", &terms);
    replied("ZADD k 1 t", "*3\r\n:1\r\n:0\r\n:1\r\n", &terms);
    assert_true(stats()->checks == 1 && stats()->acts == 1 && stats()->unasked == 0 && stats()->late == 0);
    client.looks = false;
}

static struct repair_terms terms_of(const char *text)
{
    struct repair_terms terms;

    parse(text);
    repair_watch_terms(sim.watch, &command, &client, 2, sim.now_us, &terms);
    return terms;
}

static void ask(unsigned times, const char *text, const char *reply)
{
    for (unsigned i = 0; i < times; i++) {
        struct repair_terms terms = terms_of(text);

        replied(text, reply, &terms);
        sim.now_us += 1000;
    }
}

/* Who checks again and again and never acts gets a place once in each hold. */
static void test_who_only_looks(void **state)
{
    static const char one[] = "*3\r\n:1\r\n:1\r\n:1\r\n", none[] = "*3\r\n:0\r\n:0\r\n:0\r\n";
    struct repair_rule rule = {.name = "r", .pattern = "*", .kind = REPAIR_ZSET, .max = 3};
    struct repair_terms terms = {.max = 3};
    (void)state;

    open_rule(&rule);
    ask(3, "ZCARD k", ":0\r\n");
    ask(5, "ZCARD k", ":3\r\n"); /* refused: says nothing about it */
    ask(3, "ZCARD l", ":0\r\n"); /* another key */
    assert_int_equal(terms_of("ZCARD k").max, 3);
    ask(1, "ZCARD k", ":0\r\n");
    assert_true(terms_of("ZCARD k").max == 0 && terms_of("ZCARD l").max == 3 && terms_of("ZADD k 1 t").max == 3);
    client.owner = 8;
    assert_int_equal(terms_of("ZCARD k").max, 3);
    client.owner = 9;
    sim.now_us += 9 * SIM_S / 8;
    ask(1, "ZCARD k", ":0\r\n");
    assert_int_equal(terms_of("ZCARD k").max, 0);
    replied("ZADD k 1 t", none, &terms);
    assert_int_equal(terms_of("ZCARD k").max, 0);
    replied("ZADD k 1 t", one, &terms);
    assert_int_equal(terms_of("ZCARD k").max, 3);
    ask(3, "ZCARD k", ":0\r\n");
    sim.now_us += 10 * SIM_S;
    ask(3, "ZCARD k", ":0\r\n");
    assert_int_equal(terms_of("ZCARD k").max, 3); /* not so often after all */
    ask(1, "ZCARD k", ":0\r\n");
    assert_int_equal(terms_of("ZCARD k").max, 0);
}

static void test_an_act_without_a_reservation(void **state)
{
    static const char late[] = "*3\r\n:1\r\n:0\r\n:1\r\n", found[] = "*3\r\n:1\r\n:1\r\n:1\r\n";
    struct repair_rule rule = {.name = "r", .pattern = "*", .kind = REPAIR_ZSET, .max = 3};
    struct repair_terms terms = {.max = 3};
    (void)state;

    open_rule(&rule);
    replied("ZCARD k", ":0\r\n", &terms);
    replied("ZADD k 1 t", late, &terms);
    assert_int_equal(repair_learn_hold_us(learnt()), 2 * SIM_S);
    replied("ZCARD k", ":3\r\n", &terms);
    replied("ZADD k 1 t", found, &terms);
    assert_false(learnt()->goes_on);
    replied("ZCARD k", ":0\r\n", &terms);
    replied("ZCARD k", ":3\r\n", &terms);
    replied("ZADD k 1 t", late, &terms);
    assert_true(learnt()->goes_on);
    assert_true(stats()->late == 2 && stats()->refused == 2 && stats()->unasked == 0);
    assert_int_equal(repair_learn_hold_us(learnt()), 2 * SIM_S);
    replied("ZCARD k", ":0\r\n", &terms);
    replied("ZADD k 1 t 1 u", "*3\r\n:2\r\n:1\r\n:2\r\n", &terms);
    assert_int_equal(stats()->late, 3);
}

/* Replies that do not say how many were added pair with a check all the same only where the script told. */
static void test_what_is_an_act(void **state)
{
    struct repair_rule rule = {.name = "r", .pattern = "*", .kind = REPAIR_ZSET, .max = 3};
    (void)state;

    open_rule(&rule);
    replied("ZADD k 1 t", ":0\r\n", NULL);
    replied("ZADD k CH 1 t", ":1\r\n", NULL);
    replied("ZINCRBY k 1 t", "$1\r\n1\r\n", NULL);
    replied("ZADD k 1 t", "-ERR value is not a valid float\r\n", NULL);
    assert_true(stats()->acts == 4 && stats()->unasked == 0);
    replied("ZADD k 1 t", ":1\r\n", NULL);
    assert_true(stats()->acts == 5 && stats()->unasked == 1);
    replied("ZADD k CH 1 t", "*3\r\n:1\r\n:1\r\n:1\r\n", &(struct repair_terms){.max = 3});
    assert_int_equal(stats()->unasked, 2);
    replied("ZCARD k", "-WRONGTYPE no\r\n", NULL);
    assert_int_equal(stats()->checks, 0);
}

static void test_counters_without_an_end(void **state)
{
    struct repair_rule rule = {.name = "r", .pattern = "*", .kind = REPAIR_INCR, .ttl_ms = 1000};
    (void)state;

    open_rule(&rule);
    replied("INCR a", ":1\r\n", NULL);
    replied("INCR b", ":1\r\n", NULL);
    replied("EXPIRE b 60", ":1\r\n", NULL);
    replied("INCR c", ":1\r\n", NULL);
    replied("EXPIRE c 60", ":0\r\n", NULL);
    replied("INCRBY d 5", ":5\r\n", NULL);
    replied("INCRBY e 5", ":6\r\n", NULL);
    replied("INCR f", ":1\r\n", &(struct repair_terms){.max = 0});
    replied("INCR g", "+QUEUED\r\n", NULL);
    replied("DECR h", ":0\r\n", NULL);
    assert_int_equal(stats()->born, 4);
    repair_watch_tick(sim.watch, 2 * SIM_S);
    assert_int_equal(stats()->endless, 0);
    repair_watch_tick(sim.watch, 2 * SIM_S + 1);
    assert_int_equal(stats()->endless, 3);
    repair_watch_tick(sim.watch, 9 * SIM_S);
    assert_int_equal(stats()->endless, 3);
}

/* A client that checks may be one that another connection acts for: only where that is not so is its place short. */
static void test_who_leaves_is_waited_for(void **state)
{
    static const char *const check[] = {"ZCARD", "k"}, *const act[] = {"ZADD", "k", "1", "t"};
    struct sim_way way = usual;
    (void)state;

    watch(way);
    assert_int_equal(repair_watch_left_us(sim.watch, 0), 8 * repair_learn_pause_us(learnt()));
    for (unsigned i = 0; i < 200; i++) {
        sim_command(&sim, 1, check, 2);
        sim_command(&sim, 2, act, 4);
    }
    assert_int_equal(repair_watch_left_us(sim.watch, 0), repair_learn_hold_us(learnt()));
    sim_close(&sim);
    way.pause_us = 1000;
    watch(way);
    assert_int_equal(repair_watch_left_us(sim.watch, 0), 50000);
    sim_close(&sim);
    sim_open(&sim, &way);
    assert_int_equal(repair_watch_left_us(sim.watch, 0), repair_learn_hold_us(learnt()));
}

/* A reload makes a new table: what was learnt of a rule goes over where the rule is the same, whatever its place. */
static void test_what_was_learnt_is_inherited(void **state)
{
    struct repair_rule rules[] = {
        {.name = "new", .pattern = "x*", .kind = REPAIR_ZSET, .max = 5},
        {.name = "other name", .pattern = "k*", .kind = REPAIR_ZSET, .max = 5, .mode = REPAIR_ENFORCE},
        {.name = "other max", .pattern = "k*", .kind = REPAIR_ZSET, .max = 4},
        {.name = "other kind", .pattern = "k*", .kind = REPAIR_SET, .max = 5},
    };
    struct repair_table *table = repair_table_new(rules, 4);
    struct repair_watch *next = repair_watch_new(table, 64, 7);
    struct repair_terms terms, then;
    struct sim_way way = usual;
    (void)state;

    way.pause_us = 100000;
    watch(way);
    repair_watch_inherit(next, sim.watch);
    assert_memory_equal(repair_watch_learn(next, 1), learnt(), sizeof(struct repair_learn));
    assert_int_equal(repair_watch_stats(next, 1)->acts, stats()->acts);
    for (unsigned i = 0; i < 4; i++)
        assert_true(i == 1 || (repair_watch_learn(next, i)->gaps == 0 && repair_watch_stats(next, i)->acts == 0));
    parse("ZCARD k");
    repair_watch_terms(sim.watch, &command, &(struct repair_client){.owner = 1}, 2, 0, &terms);
    repair_watch_terms(next, &command, &(struct repair_client){.owner = 1}, 2, 0, &then);
    assert_true(then.number > terms.number + 1000000);
    repair_watch_free(next);
    repair_table_free(table);
}

static void sent(const char *text, int64_t wall_us)
{
    parse(text);
    repair_watch_sent(sim.watch, &command, wall_us);
}

/* 1700000000 s in every unit that clients write, UUID version 1 being 1.4e17. */
static void test_clocks(void **state)
{
    static const char *const scores[] = {"1700000000", "1700000000000", "1700000000000000", "1700000000000000000",
                                         "139192192000000000"};
    struct repair_rule rule = {.name = "r", .pattern = "*", .kind = REPAIR_ZSET, .max = 3};
    const int64_t wall_us = INT64_C(1700000000) * SIM_S;
    char text[64];
    (void)state;

    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        open_rule(&rule);
        snprintf(text, sizeof text, "ZADD k %s t", scores[i]);
        sent(text, wall_us - 3 * SIM_S);
        sent(text, wall_us + 4 * SIM_S);
        assert_int_equal(stats()->scores.seen, 2);
        assert_in_range(repair_clocks_spread_us(&stats()->scores), 7 * SIM_S - 100, 7 * SIM_S + 100);
        assert_true(stats()->scores.least_us < -3 * SIM_S && stats()->cutoffs.seen == 0);
        sim_close(&sim);
    }
    open_rule(&rule);
    sent("ZREMRANGEBYSCORE k -inf (1699999400", wall_us);
    sent("ZREMRANGEBYSCORE k 0 1699999401", wall_us);
    assert_int_equal(repair_clocks_spread_us(&stats()->cutoffs), SIM_S);
    assert_int_equal(stats()->cutoffs.most_us, -599 * SIM_S);
    sent("ZADD k 1700000007 t", wall_us);
    sent("ZADD k 1700000004 t", wall_us);
    assert_true(stats()->scores.least_us == 4 * SIM_S && stats()->scores.most_us == 7 * SIM_S);
    sent("ZREMRANGEBYSCORE k 0 +inf", wall_us);
    sent("ZREMRANGEBYSCORE k 0 5", wall_us);
    sent("ZREMRANGEBYSCORE k 0 x", wall_us);
    sent("ZREMRANGEBYSCORE k 0 ", wall_us);
    sent("ZADD k 1 t", wall_us);
    sent("ZCARD k", wall_us);
    assert_true(stats()->cutoffs.seen == 2 && stats()->scores.seen == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_way_of_connecting, finish),
        cmocka_unit_test_teardown(test_pauses_are_learnt_whatever_the_connections, finish),
        cmocka_unit_test_teardown(test_late_acts_make_it_wait_longer, finish),
        cmocka_unit_test_teardown(test_a_rule_that_allows_more_than_its_clients, finish),
        cmocka_unit_test_teardown(test_clients_that_come_to_allow_more, finish),
        cmocka_unit_test_teardown(test_a_rule_that_allows_less_than_its_clients, finish),
        cmocka_unit_test_teardown(test_monitors_do_not_keep_clients_out, finish),
        cmocka_unit_test_teardown(test_observing_finds_the_race_and_the_maximum, finish),
        cmocka_unit_test_teardown(test_terms, finish),
        cmocka_unit_test_teardown(test_who_only_looks, finish),
        cmocka_unit_test_teardown(test_an_act_without_a_reservation, finish),
        cmocka_unit_test_teardown(test_what_is_an_act, finish),
        cmocka_unit_test_teardown(test_counters_without_an_end, finish),
        cmocka_unit_test_teardown(test_who_leaves_is_waited_for, finish),
        cmocka_unit_test_teardown(test_what_was_learnt_is_inherited, finish),
        cmocka_unit_test_teardown(test_clocks, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
