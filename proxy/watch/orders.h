/*
 * What main does when it is told to over the stats port. Each says in `reason` why not; "" when it is done.
 */
#pragma once

#include <stddef.h>

enum { ORDER_REASON_LEN = 512 };

struct orders {
    void *arg;
    void (*reload)(void *arg, char reason[ORDER_REASON_LEN]);
    void (*drain)(void *arg, char reason[ORDER_REASON_LEN]);
    void (*pin)(void *arg, const char *backend, char reason[ORDER_REASON_LEN]); /* NULL: nobody is pinned any more */
};
