/* Input of a connection: nothing is lost, torn or told twice, whatever its owner consumes, pauses or closes. */
#include "conn_case.h"

enum { LINE = 5, LONG = 100000, KEPT_MOST = 40000, SENT_MOST = 1 << 24 };

static struct end *pair[2], *other; /* whom callbacks act on */

static size_t take_lines(struct end *end, size_t len)
{
    (void)end;
    return len - len % LINE;
}

static size_t take_nothing(struct end *end, size_t len)
{
    (void)end, (void)len;
    return 0;
}

static size_t take_when_long(struct end *end, size_t len)
{
    (void)end;
    return len < LONG ? 0 : len;
}

static size_t take_but_three(struct end *end, size_t len)
{
    (void)end;
    return len > 3 ? len - 3 : 0;
}

static size_t pause_at_once(struct end *end, size_t len)
{
    (void)len;
    conn_pause(&end->conn);
    return 0;
}

static void test_rest_is_handed_up_again(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    end->take = take_lines;
    peer_send(end, 0, 3);
    turn();
    assert_int_equal(end->offered, 3);
    assert_int_equal(conn_kept_input(&end->conn), 3);
    turn();
    assert_int_equal(end->inputs, 1); /* not again before there is more */
    peer_send(end, 3, 1);
    turn();
    assert_int_equal(end->offered, 4);
    peer_send(end, 4, 4);
    turn();
    assert_int_equal(end->offered, 8);
    assert_int_equal(end->taken, 5);
    assert_int_equal(conn_kept_input(&end->conn), 3);
    peer_send(end, 8, 2);
    turn();
    assert_int_equal(end->inputs, 4);
    assert_int_equal(end->taken, 10);
    assert_int_equal(conn_kept_input(&end->conn), 0);
    assert_null(end->conn.in);
    assert_int_equal(end->conn.received, 10);
}

/* All of a long command is one run of bytes, though it came in hundreds of pieces. */
static void test_long_run_is_contiguous(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    end->take = take_when_long;
    for (size_t sent = 0; sent < LONG; sent += 500) {
        assert_int_equal(end->taken, 0);
        assert_int_equal(peer_send(end, sent, 500), 500);
        turn();
        assert_int_equal(end->offered, sent + 500);
    }
    assert_int_equal(end->taken, LONG);
}

/* Kept bytes that never end move within their block instead of growing it. */
static void test_few_kept_bytes_stay_in_their_block(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    size_t sent = 0;
    (void)state;

    end->take = take_but_three;
    for (unsigned i = 0; i < 300; i++, sent += 900) {
        assert_int_equal(peer_send(end, sent, 900), 900);
        turn();
        assert_int_equal(end->taken, sent + 897);
        assert_int_equal(conn_kept_input(&end->conn), 3);
        assert_in_range(end->conn.in->cap, 1, BLOCK_LARGE);
    }
}

static void test_pause_and_resume(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    conn_pause(&end->conn);
    peer_send(end, 0, 7);
    turn();
    peer_send(end, 7, 4);
    turn();
    assert_int_equal(end->inputs, 0);
    assert_int_equal(conn_kept_input(&end->conn), 11);
    conn_resume(&end->conn);
    assert_int_equal(end->inputs, 0); /* never from within conn_resume() */
    turn();
    assert_int_equal(end->inputs, 1);
    assert_int_equal(end->offered, 11);
    assert_int_equal(end->taken, 11);
    conn_resume(&end->conn); /* was not paused */
    turn();
    assert_int_equal(end->inputs, 1);
}

static void test_resumed_with_nothing_kept(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    conn_pause(&end->conn);
    conn_resume(&end->conn);
    conn_pause(&end->conn);
    turn();
    assert_int_equal(end->inputs, 0); /* paused again before its time came */
    conn_resume(&end->conn);
    turn();
    assert_int_equal(end->inputs, 1);
    assert_int_equal(end->offered, 0);
}

static void test_pause_within_input(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    end->take = pause_at_once;
    peer_send(end, 0, 6);
    turn();
    peer_send(end, 6, 6);
    turn();
    assert_int_equal(end->inputs, 1);
    end->take = take_lines;
    conn_resume(&end->conn);
    turn();
    assert_int_equal(end->offered, 12);
    assert_int_equal(end->taken, 10);
}

/* A sender that does not stop fills its own side, not this one; all of it arrives after the pause. */
static void test_paused_input_is_bounded(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    size_t sent = 0, n;
    (void)state;

    conn_pause(&end->conn);
    do {
        sent += n = peer_send(end, sent, 50000);
        turn();
    } while (n && sent < SENT_MOST);
    assert_in_range(sent, KEPT_MOST, SENT_MOST - 1);
    assert_in_range(conn_kept_input(&end->conn), BLOCK_LARGE, KEPT_MOST);
    conn_resume(&end->conn);
    for (unsigned i = 0; i < 1000 && end->taken < sent; i++)
        turn();
    assert_int_equal(end->taken, sent);
    assert_int_equal(end->conn.received, sent);
}

static void test_end_with_kept_bytes(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    end->take = take_lines;
    peer_send(end, 0, 8);
    shutdown(end->peer, SHUT_WR);
    turn();
    turn();
    turn();
    assert_int_equal(end->inputs, 1);
    assert_int_equal(end->eofs, 1);
    assert_int_equal(end->losses, 0);
    assert_int_equal(conn_kept_input(&end->conn), 3);
    conn_write(&end->conn, "\0\1\2", 3); /* half closed: answers still arrive */
    turn();
    assert_int_equal(peer_read(end, 0, 10), 3);
}

/* The end is noticed during a pause; after it what came before is handed up, and the end is told behind it. */
static void test_end_while_paused(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    conn_pause(&end->conn);
    peer_send(end, 0, 8);
    shutdown(end->peer, SHUT_WR);
    turn();
    turn();
    assert_int_equal(end->inputs, 0);
    assert_int_equal(end->eofs, 1);
    end->take = pause_at_once;
    conn_resume(&end->conn);
    turn();
    assert_int_equal(end->offered, 8);
    assert_int_equal(end->eofs, 1); /* paused again: not yet */
    end->take = NULL;
    conn_resume(&end->conn);
    turn();
    turn();
    assert_int_equal(end->taken, 8);
    assert_int_equal(end->inputs, 2);
    assert_int_equal(end->eofs, 2);
}

static size_t close_own(struct end *end, size_t len)
{
    conn_close(&end->conn);
    return len / 2;
}

static void then_close(struct end *end)
{
    conn_close(&end->conn);
}

static size_t close_other(struct end *end, size_t len)
{
    conn_close(&(end == pair[0] ? pair[1] : pair[0])->conn);
    return len;
}

static void test_close_within_input(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct end *end = end_open(LOOP_FLUSH_LAST);

        end->take = take_nothing;
        if (kept) {
            peer_send(end, 0, 20);
            turn();
        }
        end->take = close_own;
        peer_send(end, kept ? 20 : 0, 20);
        shutdown(end->peer, SHUT_WR);
        conn_write(&end->conn, "x", 1);
        turn();
        turn();
        assert_false(conn_is_open(&end->conn));
        assert_int_equal(end->inputs, 1 + kept);
        assert_int_equal(end->eofs + end->losses, 0);
        assert_null(end->conn.in);
        assert_int_equal(end->conn.out.len, 0);
        assert_int_equal(peer_read(end, 0, 1), 0);
    }
}

static void test_close_when_resumed_and_at_end(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    conn_pause(&end->conn);
    peer_send(end, 0, 8);
    shutdown(end->peer, SHUT_WR);
    turn();
    end->take = close_own;
    conn_resume(&end->conn);
    turn();
    assert_int_equal(end->inputs, 1);
    assert_int_equal(end->eofs, 1);

    end = end_open(LOOP_FLUSH_LAST);
    end->then = then_close;
    shutdown(end->peer, SHUT_WR);
    turn();
    turn();
    assert_int_equal(end->eofs, 1);
    assert_false(conn_is_open(&end->conn));
}

/* Two are ready in one turn, by event or by conn_resume(): the first closes the other, which hears nothing. */
static void test_close_of_another(void **state)
{
    (void)state;
    for (int resumed = 0; resumed < 2; resumed++) {
        struct end *a = end_open(LOOP_FLUSH_LAST), *b = end_open(LOOP_FLUSH_LAST);

        if (resumed) {
            conn_pause(&a->conn);
            conn_pause(&b->conn);
        }
        peer_send(a, 0, 4);
        peer_send(b, 0, 4);
        if (resumed)
            turn();
        conn_resume(&a->conn);
        conn_resume(&b->conn);
        a->take = b->take = close_other;
        pair[0] = a;
        pair[1] = b;
        turn();
        turn();
        assert_int_equal(a->inputs + b->inputs, 1);
        assert_int_equal(conn_is_open(&a->conn), a->inputs);
        assert_int_equal(conn_is_open(&b->conn), b->inputs);
    }
}

/* Pauses itself and has the other go on: without an end, were there no turns. */
static size_t pass_on(struct end *end, size_t len)
{
    struct end *next = other;

    assert_in_range(end->inputs, 1, 100);
    other = end;
    conn_pause(&end->conn);
    conn_resume(&next->conn);
    return len;
}

static void test_resuming_each_other_leaves_the_turn(void **state)
{
    struct end *a = end_open(LOOP_FLUSH_LAST), *b = end_open(LOOP_FLUSH_LAST);
    (void)state;

    a->take = b->take = pass_on;
    conn_pause(&a->conn);
    conn_pause(&b->conn);
    other = b;
    conn_resume(&a->conn);
    for (unsigned i = 1; i <= 10; i++) {
        turn();
        assert_int_equal(a->inputs + b->inputs, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        conn_test(test_rest_is_handed_up_again),
        conn_test(test_long_run_is_contiguous),
        conn_test(test_few_kept_bytes_stay_in_their_block),
        conn_test(test_pause_and_resume),
        conn_test(test_resumed_with_nothing_kept),
        conn_test(test_pause_within_input),
        conn_test(test_paused_input_is_bounded),
        conn_test(test_end_with_kept_bytes),
        conn_test(test_end_while_paused),
        conn_test(test_close_within_input),
        conn_test(test_close_when_resumed_and_at_end),
        conn_test(test_close_of_another),
        conn_test(test_resuming_each_other_leaves_the_turn),
    };
    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
