/* Byte queues: what goes in comes out, across every border of blocks, and the free lists stay within their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "proxy/net/buf.h"

enum { MOST = 3 * BLOCK_LARGE, MANY = 16 };

static struct block_pool pool;
static uint8_t bytes[2 * MOST + BLOCK_LARGE];

/* Lengths around the end of the first block (small) and of the second (large). */
static const size_t lengths[] = {
    0,
    1,
    BLOCK_SMALL - 1,
    BLOCK_SMALL,
    BLOCK_SMALL + 1,
    BLOCK_LARGE,
    BLOCK_SMALL + BLOCK_LARGE - 1,
    BLOCK_SMALL + BLOCK_LARGE,
    BLOCK_SMALL + BLOCK_LARGE + 1,
    MOST,
};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
static const size_t steps[] = {1, 7, BLOCK_SMALL - 1, BLOCK_SMALL, BLOCK_SMALL + 1, BLOCK_LARGE + 1, MOST};
enum { STEPS = sizeof steps / sizeof steps[0] };

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 251);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    block_pool_finish(&pool);
    return 0;
}

/* The queue holds exactly these bytes, in order, and no block without any. */
static void holds(const struct buf *buf, const uint8_t *want, size_t len)
{
    struct iovec vectors[MANY];
    int n = buf_vectors(buf, vectors, MANY);

    assert_int_equal(buf->len, len);
    assert_in_range(n, 0, MANY - 1);
    for (int i = 0; i < n; i++) {
        assert_in_range(vectors[i].iov_len, 1, len);
        assert_memory_equal(vectors[i].iov_base, want, vectors[i].iov_len);
        want += vectors[i].iov_len;
        len -= vectors[i].iov_len;
    }
    assert_int_equal(len, 0);
    assert_int_equal(!buf->head, !buf->len);
    assert_int_equal(!buf->tail, !buf->len);
}

static void append_in_steps(struct buf *buf, const uint8_t *from, size_t len, size_t step)
{
    for (size_t n; len; from += n, len -= n) {
        n = step < len ? step : len;
        buf_append(&pool, buf, from, n);
    }
}

static void test_append_and_consume(void **state)
{
    (void)state;
    for (size_t l = 0; l < LENGTHS; l++)
        for (size_t s = 0; s < STEPS; s++) {
            struct buf buf = {0};
            size_t left = lengths[l];

            append_in_steps(&buf, bytes, left, steps[s]);
            holds(&buf, bytes, left);
            for (size_t n; left; left -= n) {
                n = steps[s] < left ? steps[s] : left;
                buf_consume(&pool, &buf, n);
                if (steps[s] > 1 || left % 256 == 1)
                    holds(&buf, bytes + lengths[l] - left + n, left - n);
            }
            holds(&buf, bytes, 0);
        }
}

/* A queue that is read as fast as it is written moves through its blocks and gives them back. */
static void test_interleaved(void **state)
{
    struct buf buf = {0};
    size_t in = 0, out = 0;
    (void)state;

    for (size_t i = 1; in + 700 <= MOST; i++) {
        size_t n = i * 37 % 700;
        buf_append(&pool, &buf, bytes + in, n);
        in += n;
        n = (in - out) * (i % 5) / 4;
        buf_consume(&pool, &buf, n);
        out += n;
        holds(&buf, bytes + out, in - out);
    }
    assert_true(out > 2 * BLOCK_LARGE);
    buf_clear(&pool, &buf);
    holds(&buf, bytes, 0);
}

static void test_move(void **state)
{
    (void)state;
    for (size_t a = 0; a < LENGTHS; a++)
        for (size_t b = 0; b < LENGTHS; b++) {
            struct buf to = {0}, from = {0};
            size_t len = lengths[a] + lengths[b], cut = len < 3 ? len : 3;

            buf_append(&pool, &to, bytes, lengths[a]);
            buf_append(&pool, &from, bytes + lengths[a], lengths[b]);
            buf_move(&to, &from);
            holds(&from, bytes, 0);
            holds(&to, bytes, len);
            buf_append(&pool, &from, bytes, 5);
            holds(&from, bytes, 5);
            buf_clear(&pool, &from);
            buf_consume(&pool, &to, cut);
            append_in_steps(&to, bytes + len, 2000, 300);
            holds(&to, bytes + cut, len - cut + 2000);
            buf_clear(&pool, &to);
        }
}

static void test_vectors_stop(void **state)
{
    struct iovec vectors[4] = {{0}};
    struct buf buf = {0};
    (void)state;

    assert_int_equal(buf_vectors(&buf, vectors, 4), 0);
    append_in_steps(&buf, bytes, BLOCK_SMALL + 2 * BLOCK_LARGE, 100);
    assert_int_equal(buf_vectors(&buf, vectors, 0), 0);
    assert_int_equal(buf_vectors(&buf, vectors, 2), 2);
    assert_null(vectors[2].iov_base);
    assert_int_equal(vectors[0].iov_len, BLOCK_SMALL);
    assert_int_equal(vectors[1].iov_len, BLOCK_LARGE);
    assert_int_equal(buf_vectors(&buf, vectors, 4), 3);
    buf_clear(&pool, &buf);
}

/* One reply of usual size costs a small block, however it is written. */
static void test_first_block_fits(void **state)
{
    struct buf buf = {0};
    (void)state;

    buf_append(&pool, &buf, bytes, 1);
    assert_int_equal(buf.head->cap, BLOCK_SMALL);
    buf_clear(&pool, &buf);
    buf_append(&pool, &buf, bytes, BLOCK_SMALL + 1);
    assert_int_equal(buf.head->cap, BLOCK_LARGE);
    buf_clear(&pool, &buf);
}

static void give_many(size_t cap, unsigned count)
{
    struct block *list = NULL;

    while (count--) {
        struct block *block = block_take(&pool, cap);
        assert_true(block->cap >= cap);
        block->next = list;
        list = block;
    }
    while (list) {
        struct block *next = list->next;
        block_give(&pool, list);
        list = next;
    }
}

static void test_pool_bounds(void **state)
{
    (void)state;
    block_pool_finish(&pool);
    give_many(1, BLOCK_SMALL_KEPT - 1);
    assert_int_equal(pool.small_count, BLOCK_SMALL_KEPT - 1);
    give_many(BLOCK_SMALL, BLOCK_SMALL_KEPT + 9);
    assert_int_equal(pool.small_count, BLOCK_SMALL_KEPT);
    assert_int_equal(pool.large_count, 0);
    give_many(BLOCK_SMALL + 1, BLOCK_LARGE_KEPT - 1);
    assert_int_equal(pool.large_count, BLOCK_LARGE_KEPT - 1);
    give_many(BLOCK_LARGE, BLOCK_LARGE_KEPT + 9);
    assert_int_equal(pool.large_count, BLOCK_LARGE_KEPT);
    give_many(BLOCK_LARGE + 1, 3);
    block_give(&pool, NULL);
    assert_int_equal(pool.small_count, BLOCK_SMALL_KEPT);
    assert_int_equal(pool.large_count, BLOCK_LARGE_KEPT);
    block_pool_finish(&pool);
    assert_null(pool.small);
    assert_null(pool.large);
    assert_int_equal(pool.small_count + pool.large_count, 0);
}

/* A block comes back empty, whatever it held, and from the list of its own size. */
static void test_reuse(void **state)
{
    struct block *small = block_take(&pool, 10), *large = block_take(&pool, BLOCK_LARGE);
    (void)state;

    small->start = small->end = 10;
    large->end = 20;
    block_give(&pool, small);
    block_give(&pool, large);
    assert_ptr_equal(block_take(&pool, BLOCK_SMALL + 1), large);
    assert_ptr_equal(block_take(&pool, BLOCK_SMALL), small);
    assert_int_equal(small->start + small->end + large->start + large->end, 0);
    assert_null(small->next);
    block_give(&pool, small);
    block_give(&pool, large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_consume),
        cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_vectors_stop),
        cmocka_unit_test(test_first_block_fits),
        cmocka_unit_test(test_pool_bounds),
        cmocka_unit_test(test_reuse),
    };
    return cmocka_run_group_tests_name("buf", tests, fill, finish);
}
