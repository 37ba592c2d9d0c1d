/*
 * What an error reply says of the backend that sent it, by its first word (Redis documentation; for the texts of limits
 * also Upstash's). Pure, cheap enough for the data path: most errors are told by their first letter.
 *
 *   word                                   the command ran   says of the backend
 *   LOADING, MASTERDOWN                    no                alive, not usable yet
 *   READONLY                               no                a replica
 *   OOM, MISCONF, NOREPLICAS               no                nothing that a switch would mend
 *   BUSY                                   no                a script runs
 *   NOAUTH, WRONGPASS, NOPERM              no                the login is wrong
 *   MOVED, ASK, CLUSTERDOWN                no                a node of a cluster
 *   ERR max number of clients ...          no                no room for connections
 *   ERR max ... requests limit exceeded    no                the provider's limit is used up
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/health/state.h"

/* `reply` begins with '-', or is no error; it need not be whole. CAUSE_NONE: it says nothing of the backend. */
enum health_cause error_words(const uint8_t *reply, size_t len);
