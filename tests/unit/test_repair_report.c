/* Reports of rules, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "limiter/repair_report.h"

static struct repair_rule rule;
static struct repair_stats stats;
static struct repair_learn learn;

static int start(void **state)
{
    (void)state;
    rule = (struct repair_rule){.name = "runs", .pattern = "concurrent:*", .kind = REPAIR_ZSET};
    stats = (struct repair_stats){.checks = 70, .acts = 30};
    repair_learn_init(&learn, 5);
    return 0;
}

static void says(const char *lines)
{
    char text[REPAIR_REPORT_MAX + 1];
    size_t len = repair_report(text, &rule, &stats, &learn);

    assert_in_range(len, 1, REPAIR_REPORT_MAX);
    text[len] = '\0';
    assert_string_equal(text, lines);
}

static void test_nothing_found(void **state)
{
    static const struct {
        enum repair_kind kind;
        const char *line;
    } kinds[] = {
        {REPAIR_ZSET, "runs: kind zset, key:concurrent:*, enforced, 70 checks, 30 acts\n"},
        {REPAIR_SET, "runs: kind set, key:concurrent:*, enforced, 70 checks, 30 acts\n"},
        {REPAIR_LIST, "runs: kind list, key:concurrent:*, enforced, 70 checks, 30 acts\n"},
        {REPAIR_COUNTER, "runs: kind counter, key:concurrent:*, enforced, 70 checks, 30 acts\n"},
        {REPAIR_INCR, "runs: kind incr, key:concurrent:*, enforced, 70 checks, 30 acts\n"},
    };
    (void)state;

    rule.mode = REPAIR_ENFORCE;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        rule.kind = kinds[i].kind;
        says(kinds[i].line);
    }
}

static void test_observed(void **state)
{
    (void)state;
    stats.overlaps = 4;
    stats.above = 3;
    stats.most = 9;
    stats.unasked = 2;
    learn.stops_at = 5;
    for (int i = 0; i < 20; i++)
        repair_learn_gap(&learn, 100000);
    stats.cutoffs = (struct repair_clocks){2, -610000000, -600000000};
    stats.scores = (struct repair_clocks){2, 0, 1550000};
    says("runs: kind zset, key:concurrent:*, observed only, 70 checks, 30 acts\n"
         "the race happens: 4 acts came after another's that their check did not know of; set mode = enforce\n"
         "clients stop at 5 by themselves\n"
         "3 checks found more than that, at most 9\n"
         "99 in 100 acts follow their check within 115 ms; a place is held for 917 ms\n"
         "2 acts came without any check: such a client can take places beyond the limit\n"
         "times in ZREMRANGEBYSCORE differ by up to 10.0 s: clients with other clocks, or other leases, remove what "
         "others still hold\n"
         "times in ZADD differ by up to 1.5 s: clients with other clocks, or other leases, remove what others still "
         "hold\n");
}

static void test_enforced(void **state)
{
    (void)state;
    rule.mode = REPAIR_ENFORCE;
    rule.max = 5;
    stats.overlaps = 4;
    stats.late = 1;
    learn.goes_on = true;
    learn.stops_at = 7;
    says("runs: kind zset, key:concurrent:*, enforced, 70 checks, 30 acts\n"
         "4 acts came after another's that their check did not know of; each had its place\n"
         "clients act though the count is at max = 5: their own maximum is higher, raise max to it or lower theirs\n"
         "1 acts had no place any more\n");
    learn.goes_on = false;
    stats = (struct repair_stats){.scores = {2, 0, 999999}};
    says("runs: kind zset, key:concurrent:*, enforced, 0 checks, 0 acts\n"
         "clients stop at 7 by themselves, not at max = 5: make them the same\n");
    learn.stops_at = 5;
    says("runs: kind zset, key:concurrent:*, enforced, 0 checks, 0 acts\nclients stop at 5 by themselves\n");
}

static void test_counters(void **state)
{
    (void)state;
    rule.kind = REPAIR_INCR;
    stats = (struct repair_stats){.born = 20, .endless = 3};
    says("runs: kind incr, key:concurrent:*, observed only, 0 checks, 0 acts\n"
         "3 of 20 new counters had no expiry a second later and may never end; set mode = enforce and a ttl\n");
}

/* Whatever is configured, lines end. */
static void test_no_room(void **state)
{
    static char pattern[REPAIR_REPORT_MAX + 32];
    char text[REPAIR_REPORT_MAX];
    (void)state;

    for (size_t len = REPAIR_REPORT_MAX - 120; len < REPAIR_REPORT_MAX + 20; len++) {
        memset(pattern, 'x', len);
        pattern[len] = '\0';
        rule.pattern = pattern;
        stats.late = 9;
        size_t reported = repair_report(text, &rule, &stats, &learn);

        assert_in_range(reported, len < REPAIR_REPORT_MAX - 60 ? len : REPAIR_REPORT_MAX - 60, REPAIR_REPORT_MAX);
        assert_int_equal(text[reported - 1], '\n');
        assert_null(memchr(text, '\0', reported));
    }
}

static void test_workers_are_added_up(void **state)
{
    struct repair_stats one = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, {1, -5, 5}, {0}}, sum = {0};
    (void)state;

    repair_stats_add(&sum, &one);
    assert_memory_equal(&sum, &one, sizeof one);
    one.most = 3;
    one.scores = (struct repair_clocks){2, -9, -7};
    one.cutoffs = (struct repair_clocks){2, 4, 6};
    repair_stats_add(&sum, &one);
    assert_true(sum.checks == 2 && sum.refused == 4 && sum.acts == 6 && sum.overlaps == 8 && sum.unasked == 10);
    assert_true(sum.late == 12 && sum.above == 14 && sum.most == 8 && sum.born == 18 && sum.endless == 20);
    assert_int_equal(sum.unused, 22);
    assert_true(sum.scores.seen == 3 && sum.scores.least_us == -9 && sum.scores.most_us == 5);
    assert_true(sum.cutoffs.seen == 2 && sum.cutoffs.least_us == 4 && sum.cutoffs.most_us == 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_found, start), cmocka_unit_test_setup(test_observed, start),
        cmocka_unit_test_setup(test_enforced, start),      cmocka_unit_test_setup(test_counters, start),
        cmocka_unit_test_setup(test_no_room, start),       cmocka_unit_test_setup(test_workers_are_added_up, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
