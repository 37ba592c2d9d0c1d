/* The life of a conn over TLS: its handshake, its end in all its kinds, new keys meanwhile. */
#include "conn_tls_case.h"

enum { MIB = 1 << 20 };

/* --- the handshake --- */

static void test_sni_is_the_name(void **state)
{
    struct tls_context *by_address = trust("127.0.0.1");
    (void)state;

    struct end *end = open_end();
    assert_string_equal(server.sni, HOST);
    end_close(end);
    end_init(end, LOOP_FLUSH_FIRST);
    connect_end(end, by_address);
    until(end->connects && SSL_is_init_finished(server.ssl));
    assert_string_equal(server.sni, "");
    tls_context_unref(by_address);
}

/* Bytes written before the connection is made wait for the end of the handshake. */
static void test_written_before_connected(void **state)
{
    (void)state;
    server_init(&(struct server_recipe){.identity = &good});
    struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
    end_write(end, 0, 10);
    end_write(end, 10, 20000);
    turn();
    assert_int_equal(end->conn.written, 0);
    until(server.decrypted == 20010);
    assert_int_equal(end->conn.written, 20010);
    assert_int_equal(end->connects, 1);
}

static void test_single_bytes(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    for (int i = 0; i < 2; i++) {
        server_init(&(struct server_recipe){.identity = &good, .max_version = versions[i]});
        struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
        end_write(end, 0, 700);
        until_in_pieces(1, 1, server.decrypted == 700);
        assert_int_equal(SSL_version(server.ssl), versions[i]);
        assert_calm(end);
        server_write(500);
        server_write(1);
        until_in_pieces(1, 1, end->taken == 501);
        assert_int_equal(end->conn.received, 501);
        assert_calm(end);
        assert_int_equal(end->connects, 1);
        server_finish();
    }
}

static void reconnect(struct end *end, struct tls_context *with)
{
    end_close(end);
    end_init(end, LOOP_FLUSH_FIRST);
    connect_end(end, with);
    until(end->connects && SSL_is_init_finished(server.ssl));
    server_write(10);
    until(end->taken == 10);
}

static void test_resumption(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;

    for (int i = 0; i < 2; i++) {
        struct end *end = open_end_at(versions[i]);
        assert_int_equal(tls_was_resumed(end->conn.tls), i > 1);
        for (int n = 0; n < 20; n++) {
            reconnect(end, context);
            assert_true(tls_was_resumed(end->conn.tls));
            assert_true(SSL_session_reused(server.ssl));
        }
        shutdown(end->peer, SHUT_WR); /* also after a loss */
        until(end->losses);
        reconnect(end, context);
        assert_true(tls_was_resumed(end->conn.tls));
        struct tls_context *other = trust(HOST);
        reconnect(end, other);
        assert_false(tls_was_resumed(end->conn.tls));
        assert_false(SSL_session_reused(server.ssl));
        tls_context_unref(other);
        server_finish();
        end_close(end);
        tls_context_unref(context);
        context = trust(HOST);
    }
}

/* A ticket of TLS 1.3 is shown once, so that nobody who listens can tell two connections to be of one client. */
static void test_ticket_is_used_once(void **state)
{
    (void)state;
    server_init(&(struct server_recipe){.identity = &good});
    SSL_CTX_set_num_tickets(server.context, 1);
    struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
    until(end->connects && SSL_is_init_finished(server.ssl));
    assert_calm(end); /* the ticket has come */
    SSL_CTX_set_num_tickets(server.context, 0);
    reconnect(end, context);
    assert_true(tls_was_resumed(end->conn.tls));
    reconnect(end, context);
    assert_false(tls_was_resumed(end->conn.tls));
}

/* What comes in one piece with the end of the handshake is handed up, though the kernel has no more of it. */
static void test_data_behind_the_handshake(void **state)
{
    (void)state;
    server_init(&(struct server_recipe){.identity = &good, .max_version = TLS1_2_VERSION});
    struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
    for (unsigned i = 0; i < 10 && !SSL_is_init_finished(server.ssl); i++) {
        server_step(0, ALL);
        turn();
        server_step(ALL, 0);
    }
    assert_int_equal(end->connects, 0);
    server_write(100);
    server_step(0, ALL);
    turn();
    turn();
    assert_int_equal(end->connects, 1);
    assert_int_equal(end->taken, 100);
}

/* --- the end --- */

static void test_goodbye_is_an_end(void **state)
{
    struct end *end = open_end();
    (void)state;

    server_write(3000);
    SSL_shutdown(server.ssl);
    until(end->eofs);
    assert_int_equal(end->taken, 3000);
    assert_int_equal(end->losses, 0);
    assert_true(end->conn.at_eof);
    assert_calm(end);
    end_write(end, 0, 100); /* the other direction stays open */
    until(server.decrypted == 100);
    assert_int_equal(end->eofs, 1);
}

static void test_end_without_goodbye_is_a_loss(void **state)
{
    struct end *end = open_end();
    (void)state;

    server_write(3000);
    server_step(0, ALL);
    shutdown(end->peer, SHUT_WR);
    until(end->losses);
    assert_int_equal(end->taken, 3000);
    assert_string_equal(end->reason, "connection ended without close_notify");
    assert_true(end->conn.at_eof);
    assert_int_equal(end->eofs, 0);
}

static void test_end_within_a_record(void **state)
{
    struct end *end = open_end();
    (void)state;

    server_write(3000);
    server_step(0, 2000);
    shutdown(end->peer, SHUT_WR);
    until(end->losses);
    assert_int_equal(end->taken, 0);
    assert_string_equal(end->reason, "connection ended without close_notify");
}

static void test_altered_record(void **state)
{
    struct end *end = open_end();
    char *waiting;
    (void)state;

    server_write(3000);
    BIO_get_mem_data(server.out, &waiting);
    waiting[1000] ^= 1;
    until(end->losses);
    assert_int_equal(end->taken, 0);
    assert_string_equal(end->reason, "a record was altered on its way");
    assert_false(end->conn.at_eof);
}

static void test_reset(void **state)
{
    struct end *end = open_end();
    (void)state;

    end->then = close_it;
    end_write(end, 0, 100);
    turn();
    close(end->peer);
    end->peer = -1;
    turn();
    assert_int_equal(end->losses, 1);
    assert_string_equal(end->reason, "Connection reset by peer");
}

/* A write that fails is told at the end of the turn, never from within conn_write(). */
static void test_failing_write(void **state)
{
    struct end *end = open_end();
    (void)state;

    end->then = close_it;
    close(end->peer);
    end->peer = -1;
    end_write(end, 0, MIB);
    assert_int_equal(end->losses, 0);
    turn();
    assert_int_equal(end->losses, 1);
    assert_true(strlen(end->reason) > 0);
}

static void test_close_says_goodbye(void **state)
{
    struct end *end = open_end();
    (void)state;

    end_write(end, 0, 100);
    turn();
    conn_close(&end->conn);
    assert_null(end->conn.tls);
    server_step(ALL, ALL);
    assert_int_equal(server.decrypted, 100);
    assert_true(server.said_goodbye);
}

static void test_peer_is_gone(void **state)
{
    struct end *end = open_end();
    (void)state;

    assert_false(conn_peer_is_gone(&end->conn));
    shutdown(end->peer, SHUT_WR);
    assert_true(conn_peer_is_gone(&end->conn));
}

/* The reason outlives the connection that the owner closes. */
static void test_closed_by_its_owner(void **state)
{
    struct end *end = open_end();
    (void)state;

    end->then = close_it;
    shutdown(end->peer, SHUT_WR);
    until(end->losses);
    assert_false(conn_is_open(&end->conn));
    turn();
    assert_int_equal(end->losses, 1);
}

/* --- new keys --- */

static void server_new_key(void)
{
    assert_int_equal(SSL_key_update(server.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(server.ssl), 1);
}

static void test_new_keys_among_data(void **state)
{
    struct end *end = open_end_at(TLS1_3_VERSION);
    (void)state;

    for (unsigned i = 0; i < 300; i++) {
        server_new_key();
        server_write(100);
        end_write(end, i * 100, 100);
        turn();
        server_step(ALL, ALL);
    }
    until(end->taken == 30000 && server.decrypted == 30000);
    assert_calm(end);
}

/* The answer to a new key has to wait behind a record that the kernel took in part. */
static void test_new_keys_while_output_is_stuck(void **state)
{
    struct end *end = open_end_at(TLS1_3_VERSION);
    (void)state;

    end_write(end, 0, 2 * MIB);
    turn();
    assert_true(end->conn.out.len > 0);
    assert_calm(end);
    for (unsigned i = 0; i < 20; i++) {
        server_new_key();
        server_write(100);
        server_step(0, ALL);
        turn();
    }
    assert_string_equal(end->reason, "");
    assert_calm(end);
    until(server.decrypted == 2 * MIB && end->taken == 2000);
    assert_calm(end);
    assert_int_equal(end->losses, 0);
}

static void test_flood_of_new_keys(void **state)
{
    struct end *end = open_end_at(TLS1_3_VERSION);
    (void)state;

    for (unsigned i = 0; i < 5000; i++)
        server_new_key();
    until(end->losses);
    assert_string_equal(end->reason, "backend floods us with handshake messages");
}

/*
 * While half a message of handshake is there OpenSSL writes nothing. The other half is let in even when input is paused
 * and enough of it is kept.
 */
static void test_writing_behind_half_a_message(void **state)
{
    static char long_data[700];
    struct end *end = open_end_at(TLS1_3_VERSION);
    (void)state;

    conn_pause(&end->conn);
    server_write(16000);
    server_step(0, ALL);
    turn();
    server_write(1000);
    SSL_set_max_send_fragment(server.ssl, 512);
    assert_int_equal(SSL_SESSION_set1_ticket_appdata(SSL_get0_session(server.ssl), long_data, sizeof long_data), 1);
    long data_len = BIO_pending(server.out);
    assert_int_equal(SSL_new_session_ticket(server.ssl), 1);
    assert_int_equal(SSL_do_handshake(server.ssl), 1);
    server_step(0, (size_t)data_len + 600);
    for (unsigned i = 0; i < 5; i++)
        turn();
    assert_int_equal(conn_kept_input(&end->conn), 17000);
    end_write(end, 0, 100);
    assert_calm(end);
    assert_int_equal(end->conn.written, 0);
    server_step(ALL, ALL);
    turn();
    turn();
    server_step(ALL, 0);
    assert_int_equal(server.decrypted, 100);
    assert_int_equal(end->taken, 0);
    conn_resume(&end->conn);
    until(end->taken == 17000);
    assert_calm(end);
}

/* Answers to new keys that nobody reads do not pile up without end. */
static void test_flood_of_new_keys_with_data(void **state)
{
    struct end *end = open_end_at(TLS1_3_VERSION);
    (void)state;

    end->then = close_it;
    end_write(end, 0, 2 * MIB);
    for (unsigned i = 0; i < 20000 && !end->losses; i++) {
        server_new_key();
        server_write(1);
        server_step(0, ALL);
        turn();
        assert_in_range(end->taken, 0, 5000);
    }
    assert_string_equal(end->reason, "backend floods us with handshake messages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        over_tls(test_sni_is_the_name),
        over_tls(test_written_before_connected),
        over_tls(test_single_bytes),
        over_tls(test_resumption),
        over_tls(test_ticket_is_used_once),
        over_tls(test_data_behind_the_handshake),
        over_tls(test_goodbye_is_an_end),
        over_tls(test_end_without_goodbye_is_a_loss),
        over_tls(test_end_within_a_record),
        over_tls(test_altered_record),
        over_tls(test_reset),
        over_tls(test_failing_write),
        over_tls(test_close_says_goodbye),
        over_tls(test_peer_is_gone),
        over_tls(test_closed_by_its_owner),
        over_tls(test_new_keys_among_data),
        over_tls(test_new_keys_while_output_is_stuck),
        over_tls(test_flood_of_new_keys),
        over_tls(test_writing_behind_half_a_message),
        over_tls(test_flood_of_new_keys_with_data),
    };
    return cmocka_run_group_tests_name("conn_tls", tests, start_certs, finish_certs);
}
