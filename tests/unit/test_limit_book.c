/* What is counted of limits adds up over workers, outlives a reload of the limits that stay, and begins anew for
 * others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "limiter/adopt.h"
#include "limiter/repair.h"
#include "limiter/rule.h"
#include "proxy/flow/limit_book.h"

enum { WORKERS = 3 };

struct conf_case {
    struct rule_table *rules;
    struct repair_table *repairs;
    struct adopt_table *adoptions;
    struct limit_book *book;
};

static struct conf_case open_case(const struct rule_spec *specs, size_t n, const struct conf_case *before)
{
    static const struct repair_rule repair = {
        .name = "slots", .pattern = "s:*", .kind = REPAIR_SET, .mode = REPAIR_ENFORCE, .max = 5};
    static const struct adopt_spec script = {
        .name = "lua",
        .pattern = "l:*",
        .adopt = "3ee773497f79f299d4b1d02ea0f0f120f678f7d8 SEM.ACQUIRE KEYS[1] ARGV[1] 1000 ARGV[2]",
        .returns = "1 | 0",
    };
    struct adopt_mistake mistake;
    struct conf_case made = {
        .rules = rule_table_new(specs, n),
        .repairs = repair_table_new(&repair, 1),
        .adoptions = adopt_table_new(&script, 1, &mistake),
    };

    assert_non_null(made.adoptions);
    made.book = limit_book_new(made.rules, made.repairs, made.adoptions, WORKERS, before ? before->book : NULL);
    assert_non_null(made.book);
    return made;
}

static void close_case(struct conf_case *made)
{
    limit_book_free(made->book);
    rule_table_free(made->rules);
    repair_table_free(made->repairs);
    adopt_table_free(made->adoptions);
}

static const struct rule_spec runs = {.name = "runs", .kind = RULE_SEMAPHORE, .max = 5, .lease_ms = 1000},
                              api = {.name = "api", .kind = RULE_GCRA, .count = 1, .period_ms = 1000};

static const struct rule *rule(const struct conf_case *made, const char *name)
{
    return rule_find(made->rules, (const uint8_t *)name, strlen(name));
}

static const struct limit_entry *entry(const struct conf_case *made, const char *name)
{
    for (size_t i = 0; i < made->book->n; i++)
        if (!strcmp(made->book->at[i].record->name, name))
            return &made->book->at[i];
    fail_msg("no entry %s", name);
    return NULL;
}

static struct limit_sum sum_of(const struct conf_case *made, const char *name)
{
    struct limit_sum sum;

    limit_sum(entry(made, name)->record, &sum);
    return sum;
}

static void test_entries_and_sums(void **state)
{
    struct conf_case made = open_case((struct rule_spec[]){runs, api}, 2, NULL);
    struct limit_meter *one, *two;

    (void)state;
    assert_int_equal(made.book->n, 5);
    assert_string_equal(made.book->at[0].record->name, "(none)");
    assert_string_equal(limit_kind_name(entry(&made, "(none)")), "none");
    assert_string_equal(limit_kind_name(entry(&made, "runs")), "semaphore");
    assert_string_equal(limit_kind_name(entry(&made, "slots")), "set");
    assert_string_equal(limit_kind_name(entry(&made, "lua")), "script");
    one = limit_book_meter(made.book, rule(&made, "runs"), 0);
    two = limit_book_meter(made.book, rule(&made, "runs"), 2);
    counter_add(&one->denied_limited, 2);
    counter_add(&two->denied_cost, 1);
    counter_add(&one->leases, 2);
    counter_add(&two->leases, 3);
    counter_add(&one->fullest, 2);
    counter_add(&two->fullest, 1);
    counter_add(&one->next_end_ms, 90);
    counter_add(&two->next_end_ms, 80);
    counter_add(&one->denied_ms, 7);
    struct limit_sum sum = sum_of(&made, "runs");
    assert_true(sum.denied == 3 && sum.leases == 5 && sum.fullest == 2 && sum.next_end_ms == 80 && sum.denied_ms == 7);
    counter_add(&limit_book_repair_meter(made.book, repair_table_at(made.repairs, 0), 1)->repair_checks, 4);
    assert_int_equal(sum_of(&made, "slots").repair_checks, 4);
    counter_add(&limit_book_script_meter(made.book, adopt_table_at(made.adoptions, 0), 1)->admitted, 6);
    assert_int_equal(sum_of(&made, "lua").admitted, 6);
    assert_int_equal(sum_of(&made, "api").denied, 0);
    close_case(&made);
}

static void test_a_reload(void **state)
{
    struct conf_case before = open_case((struct rule_spec[]){runs, api}, 2, NULL), after;
    struct limit_meter *stays = limit_book_meter(before.book, rule(&before, "runs"), 1);
    struct limit_meter *goes = limit_book_meter(before.book, rule(&before, "api"), 1);
    struct rule_spec changed = {.name = "api", .kind = RULE_WINDOW, .count = 1, .period_ms = 1000};
    struct rule_spec larger = runs;

    (void)state;
    larger.max = 9;
    counter_add(&stays->admitted, 1);
    counter_add(&goes->admitted, 1);
    counter_add(&limit_book_meter(before.book, NULL, 0)->admitted, 1);
    after = open_case((struct rule_spec[]){larger, changed}, 2, &before);
    assert_ptr_equal(limit_book_keep(after.book, stays, 1), stays);
    assert_ptr_equal(limit_book_keep(after.book, goes, 1), limit_book_meter(after.book, NULL, 1));
    close_case(&before);
    counter_add(&stays->admitted, 1);
    assert_int_equal(sum_of(&after, "runs").admitted, 2);
    assert_int_equal(sum_of(&after, "api").admitted, 0);
    assert_int_equal(sum_of(&after, "(none)").admitted, 1);
    close_case(&after);
}

static struct limit_pair last_minute(const struct conf_case *made)
{
    struct limit_sum sum = sum_of(made, "api");

    return limit_recent_of(entry(made, "api"), &sum);
}

static void test_the_last_minute(void **state)
{
    struct conf_case made = open_case(&api, 1, NULL);
    struct limit_meter *meter = limit_book_meter(made.book, rule(&made, "api"), 0);

    (void)state;
    for (unsigned i = 1; i < LIMIT_RECENT_S; i++) {
        counter_add(&meter->admitted, 1);
        counter_add(&meter->denied_cached, 2);
        limit_book_note_second(made.book);
        assert_int_equal(last_minute(&made).admitted, i);
    }
    for (unsigned i = 0; i < LIMIT_RECENT_S - 2; i++)
        limit_book_note_second(made.book);
    assert_true(last_minute(&made).admitted == 1 && last_minute(&made).denied == 2);
    limit_book_note_second(made.book);
    assert_true(last_minute(&made).admitted == 0 && last_minute(&made).denied == 0);
    close_case(&made);
}

static void test_figures_that_are_read_while_they_are_written(void **state)
{
    struct limit_entry slots = {.repair = &(struct repair_rule){.kind = REPAIR_ZSET}};
    struct limit_sum torn = {.repair_checks = 3, .repair_refused = 4};

    (void)state;
    assert_int_equal(limit_pair_of(&slots, &torn).admitted, 0);
    torn.repair_checks = 9;
    assert_int_equal(limit_pair_of(&slots, &torn).admitted, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_and_sums),
        cmocka_unit_test(test_a_reload),
        cmocka_unit_test(test_the_last_minute),
        cmocka_unit_test(test_figures_that_are_read_while_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
