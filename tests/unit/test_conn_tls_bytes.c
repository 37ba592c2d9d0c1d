/* A conn over TLS keeps what it promises: nothing lost, torn or told twice, and no turn without a cause. */
#include "conn_tls_case.h"

enum { KIB = 1024, MIB = 1 << 20, BULK = 10 * MIB, KEPT_MOST = 40000 };

/* What is written in one turn is one record. */
static void test_one_record_a_turn(void **state)
{
    struct end *end = open_end();
    uint8_t cipher[20000];
    (void)state;

    for (unsigned i = 0; i < 40; i++) { /* of several blocks */
        struct buf blocks = {0};
        uint8_t bytes[100];
        for (unsigned j = 0; j < sizeof bytes; j++)
            bytes[j] = pattern(i * sizeof bytes + j);
        buf_append(&loop.pool, &blocks, bytes, sizeof bytes);
        conn_write_buf(&end->conn, &blocks);
    }
    turn();
    assert_int_equal(end->conn.written, 4000);
    ssize_t n = recv(end->peer, cipher, sizeof cipher, 0);
    assert_int_equal(n, 5 + 4000 + 1 + 16); /* header, bytes, type, tag */
    BIO_write(server.in, cipher, (int)n);
    server_step(0, 0);
    assert_int_equal(server.decrypted, 4000);
}

static void test_bulk_to_a_slow_peer(void **state)
{
    struct end *end = open_end();
    uint64_t given = 0;
    (void)state;

    conn_notify_drained(&end->conn, MIB);
    for (unsigned i = 0; given < BULK; i++) {
        size_t len = i % 3 ? 200 + i : 150000;
        end_write(end, given, len);
        given += len;
        assert_int_equal(end->conn.written + end->conn.out.len, given);
    }
    turn();
    assert_calm(end);
    assert_int_equal(end->drains, 0);
    until_in_pieces(30000, ALL, server.decrypted == given);
    assert_int_equal(end->conn.written, given);
    assert_null(end->conn.out.head);
    assert_int_equal(end->drains, 1);
    assert_calm(end);
}

static void feed(uint64_t all, size_t record)
{
    while (server.sent < all && BIO_pending(server.out) < 2 * MIB)
        server_write(record);
}

static void test_bulk_from_a_slow_peer(void **state)
{
    struct end *end = open_end();
    unsigned long turns = 0;
    (void)state;

    for (; end->taken < BULK && turns < MOST_TURNS; turns++) {
        feed(BULK, 10000 + turns % 6000);
        server_step(0, 20000 + 1000 * (turns % 50));
        turn();
    }
    assert_int_equal(end->taken, server.sent);
    assert_calm(end);
}

static size_t pause_at_once(struct end *end, size_t len)
{
    (void)len;
    conn_pause(&end->conn);
    return 0;
}

static size_t take_seven_then_pause(struct end *end, size_t len)
{
    conn_pause(&end->conn);
    return len < 7 ? len : 7;
}

/* Paused input is kept for a bounded distance; all of it comes after the resumption, with no more from the socket. */
static void test_pause_with_pending_bytes(void **state)
{
    struct end *end = open_end();
    (void)state;

    end->take = pause_at_once;
    for (unsigned i = 0; i < 50; i++)
        server_write(4000);
    for (unsigned i = 0; i < 100; i++) {
        turn();
        server_step(ALL, ALL);
    }
    assert_int_equal(end->inputs, 1);
    assert_in_range(conn_kept_input(&end->conn), 1, KEPT_MOST);
    assert_calm(end);
    end->take = NULL;
    conn_resume(&end->conn);
    assert_int_equal(end->inputs, 1);
    until(end->taken == 200000);
    assert_calm(end);
}

static void test_resumed_again_and_again(void **state)
{
    struct end *end = open_end();
    (void)state;

    end->take = take_seven_then_pause;
    for (unsigned i = 0; i < 300; i++)
        server_write(70);
    server_step(0, ALL);
    for (unsigned n = 0; n < 3000; n++) {
        turn();
        server_step(0, ALL);
        assert_int_equal(end->inputs, n + 1);
        assert_int_equal(end->taken, 7 * (n + 1));
        assert_int_equal(end->taken + conn_kept_input(&end->conn), end->conn.received);
        conn_resume(&end->conn);
    }
    turn();
    assert_int_equal(end->taken, 21000);
    assert_int_equal(end->conn.received, 21000);
}

/* A goodbye behind paused input is noticed, though no byte of it is left in the kernel. */
static void test_goodbye_behind_paused_input(void **state)
{
    struct end *end = open_end();
    (void)state;

    conn_pause(&end->conn);
    for (unsigned i = 0; i < 3; i++)
        server_write(2000);
    SSL_shutdown(server.ssl);
    server_step(0, ALL);
    for (unsigned i = 0; i < 3; i++)
        turn();
    assert_int_equal(end->eofs, 1);
    assert_int_equal(end->inputs, 0);
    conn_resume(&end->conn);
    turn();
    assert_int_equal(end->taken, 6000);
    assert_int_equal(end->eofs, 2); /* once more, behind what was kept */
}

static size_t take_some(struct end *end, size_t len)
{
    if (rand() % 4 == 0)
        conn_pause(&end->conn);
    return len ? (size_t)rand() % (len + 1) : 0;
}

/* Both ways at once, in pieces, pauses and sizes of chance. */
static void test_by_chance(void **state)
{
    (void)state;
    srand(20260102);
    for (unsigned round = 0; round < 20; round++) {
        struct end *end = open_end_at(round % 2 ? 0 : TLS1_2_VERSION);
        uint64_t given = 0;
        end->take = take_some;
        for (unsigned i = 0; i < 400; i++) {
            size_t len = 1 + (size_t)rand() % (i % 5 ? 300 : 30000);
            end_write(end, given, len);
            given += len;
            server_write(1 + (size_t)rand() % (i % 7 ? 300 : TLS_RECORD_MAX - 1));
            turn();
            server_step((size_t)rand() % 20000, (size_t)rand() % 20000);
            assert_int_equal(end->conn.written + end->conn.out.len, given);
            if (rand() % 2)
                conn_resume(&end->conn);
        }
        end->take = NULL;
        conn_resume(&end->conn);
        until(server.decrypted == given && end->taken == server.sent);
        assert_calm(end);
        assert_int_equal(end->losses + end->eofs, 0);
        end_close(end);
        server_finish();
        end_init(end, LOOP_FLUSH_FIRST);
        n_ends = 0;
    }
}

/* A fast sender does not keep the loop in one callback. */
static void test_fairness(void **state)
{
    struct end *fast = open_end();
    (void)state;

    for (unsigned i = 0; i < 12; i++)
        server_write(TLS_RECORD_MAX);
    server_step(0, ALL);
    turn();
    assert_in_range(fast->taken, 1, 160 * KIB);
    until(fast->taken == 12 * TLS_RECORD_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        over_tls(test_one_record_a_turn),
        over_tls(test_bulk_to_a_slow_peer),
        over_tls(test_bulk_from_a_slow_peer),
        over_tls(test_pause_with_pending_bytes),
        over_tls(test_resumed_again_and_again),
        over_tls(test_goodbye_behind_paused_input),
        over_tls(test_by_chance),
        over_tls(test_fairness),
    };
    return cmocka_run_group_tests_name("conn_tls_bytes", tests, start_certs, finish_certs);
}
