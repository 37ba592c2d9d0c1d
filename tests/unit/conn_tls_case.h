/* An end that is connected to the server of tls_case.h, by the same trust in each test. */
#pragma once

#include "tls_case.h"

static struct tls_context *context; /* what over_tls() tests trust */

static inline int start_trust(void **state)
{
    context = trust(HOST);
    return start_loop(state);
}

static inline int finish_trust(void **state)
{
    tls_context_unref(context);
    context = NULL;
    return finish_tls(state);
}

#define over_tls(function) cmocka_unit_test_setup_teardown(function, start_trust, finish_trust)

static inline struct end *open_end_at(int max_version)
{
    server_init(&(struct server_recipe){.identity = &good, .max_version = max_version});
    struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
    until(end->connects && SSL_is_init_finished(server.ssl));
    assert_calm(end);
    return end;
}

static inline struct end *open_end(void)
{
    return open_end_at(0);
}

static inline void close_it(struct end *end)
{
    conn_close(&end->conn);
}
