/* The queue of requests in flight: first in, first out, however it grows and wherever its numbers wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proxy/flow/request.h"

static void push(struct request_queue *queue, uint64_t start)
{
    struct request *request = request_push(queue);

    assert_ptr_equal(request, request_at(queue, request_count(queue) - 1));
    assert_null(request->owner);
    assert_int_equal(request->start, 0);
    assert_int_equal(request->replies, 1);
    assert_false(request->begun || request->dropped || request->muted || request->confirms || request->run);
    request->start = start;
    request->owner = (struct requester *)(void *)queue;
    request->begun = request->dropped = request->muted = request->confirms = request->run = true;
    request->replies = 9;
}

static void holds(const struct request_queue *queue, uint64_t first, uint32_t count)
{
    assert_int_equal(request_count(queue), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(request_at(queue, i)->start, first + i);
        assert_int_equal(request_at(queue, i)->replies, 9);
        assert_ptr_equal(request_at(queue, i)->owner, queue);
    }
    if (count)
        assert_int_equal(request_oldest(queue)->start, first);
}

static void test_growth(void **state)
{
    struct request_queue queue = {0};
    (void)state;

    assert_int_equal(request_count(&queue), 0);
    for (uint64_t i = 0; i < 1000; i++) {
        push(&queue, i);
        assert_true(request_count(&queue) <= queue.mask + 1);
        holds(&queue, 0, (uint32_t)i + 1);
    }
    assert_int_equal(queue.mask, 1023);
    for (uint64_t i = 0; i < 1000; i++) {
        holds(&queue, i, (uint32_t)(1000 - i));
        request_pop(&queue);
    }
    assert_int_equal(request_count(&queue), 0);
    request_queue_finish(&queue);
    assert_null(queue.ring);
    assert_int_equal(queue.mask, 0);
}

/* Grows while its oldest stands at every place of the ring. */
static void test_growth_over_the_end(void **state)
{
    (void)state;
    for (uint64_t shift = 0; shift < 20; shift++) {
        struct request_queue queue = {0};
        for (uint64_t i = 0; i < shift; i++) {
            push(&queue, i);
            request_pop(&queue);
        }
        for (uint32_t i = 0; i < 40; i++) {
            push(&queue, shift + i);
            holds(&queue, shift, i + 1);
        }
        request_queue_finish(&queue);
    }
}

/* A queue that never holds more than its ring does not grow, however many pass through it. */
static void test_no_growth_in_passing(void **state)
{
    struct request_queue queue = {0};
    uint64_t first = 0, next = 0;
    (void)state;

    for (unsigned round = 0; round < 100; round++) {
        while (request_count(&queue) < 8)
            push(&queue, next++);
        holds(&queue, first, 8);
        for (unsigned n = round % 8 + 1; n; n--, first++)
            request_pop(&queue);
    }
    assert_int_equal(queue.mask, 7);
    request_queue_finish(&queue);
}

static void test_numbers_wrap(void **state)
{
    (void)state;
    for (uint32_t before = 0; before < 12; before++) {
        struct request_queue queue = {0};
        push(&queue, 0);
        request_pop(&queue);
        queue.head = queue.tail = UINT32_MAX - before;
        for (uint32_t i = 0; i < 30; i++) {
            push(&queue, i);
            holds(&queue, i < 5 ? 0 : i - 5, i < 5 ? i + 1 : 6);
            if (i >= 5)
                request_pop(&queue);
        }
        assert_int_equal(queue.mask, 7);
        assert_true(queue.tail < UINT32_MAX / 2);
        queue.head = queue.tail = UINT32_MAX - before;
        for (uint32_t i = 0; i < 30; i++)
            push(&queue, i);
        holds(&queue, 0, 30);
        request_queue_finish(&queue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_growth_over_the_end),
        cmocka_unit_test(test_no_growth_in_passing),
        cmocka_unit_test(test_numbers_wrap),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
