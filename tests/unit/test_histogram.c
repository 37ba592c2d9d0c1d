/* Cells of times: where each begins, which one a time falls into, and what is read out of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/watch/histogram.h"

static void test_bounds_grow_and_include_those_that_people_ask_for(void **state)
{
    static const uint64_t asked[] = {100,    250,    500,    1000,    2500,    5000,    10000,    25000,    50000,
                                     100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 100000000};
    size_t found = 0;

    (void)state;
    for (unsigned cell = 1; cell < HISTOGRAM_CELLS; cell++) {
        assert_true(histogram_bound(cell) > histogram_bound(cell - 1));
        found += found < sizeof(asked) / sizeof(asked[0]) && histogram_bound(cell) == asked[found];
    }
    assert_int_equal(found, sizeof(asked) / sizeof(asked[0]));
}

static void test_a_time_falls_into_the_cell_whose_bounds_are_around_it(void **state)
{
    (void)state;
    for (unsigned cell = 0; cell + 1 < HISTOGRAM_CELLS; cell++) {
        assert_int_equal(histogram_cell((uint32_t)histogram_bound(cell)), cell);
        assert_int_equal(histogram_cell((uint32_t)histogram_bound(cell + 1) - 1), cell);
    }
    assert_int_equal(histogram_cell(100000000), HISTOGRAM_CELLS - 1);
    assert_int_equal(histogram_cell(UINT32_MAX - 1), HISTOGRAM_CELLS - 1);
    assert_int_equal(histogram_cell(UINT32_MAX), HISTOGRAM_CELLS - 1);
}

static void add(struct histogram *histogram, uint32_t us)
{
    histogram_add(histogram, histogram_cell(us), us);
}

static void test_counts_below_a_bound_are_exact(void **state)
{
    static struct histogram histogram, other;
    static struct distribution distribution;

    (void)state;
    add(&histogram, 99);
    add(&histogram, 100);
    add(&histogram, 249);
    add(&other, 250);
    add(&other, UINT32_MAX);
    distribution_add(&distribution, &histogram);
    distribution_add(&distribution, &other);
    assert_int_equal(distribution.count, 5);
    assert_int_equal(distribution.sum_us, UINT64_C(99) + 100 + 249 + 250 + UINT32_MAX);
    assert_int_equal(distribution_below(&distribution, 100), 1);
    assert_int_equal(distribution_below(&distribution, 250), 3);
    assert_int_equal(distribution_below(&distribution, 500), 4);
    assert_int_equal(distribution_below(&distribution, 10000000), 4);
}

static void test_quantiles(void **state)
{
    static struct histogram histogram;
    static struct distribution distribution, empty;
    double p50, p99;

    (void)state;
    for (uint32_t us = 0; us < 1000; us++)
        add(&histogram, us);
    distribution_add(&distribution, &histogram);
    p50 = distribution_quantile(&distribution, 0.5);
    p99 = distribution_quantile(&distribution, 0.99);
    assert_true(p50 > 499 && p50 < 501);
    assert_true(p99 > 989 && p99 < 991);
    assert_true(distribution_quantile(&empty, 0.5) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_grow_and_include_those_that_people_ask_for),
        cmocka_unit_test(test_a_time_falls_into_the_cell_whose_bounds_are_around_it),
        cmocka_unit_test(test_counts_below_a_bound_are_exact),
        cmocka_unit_test(test_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
