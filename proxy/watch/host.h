/*
 * By what name the stats port is asked. A web page somewhere else can have its own name lead here, and a browser then
 * takes what it reads and orders here for the page's own (DNS rebinding); the name is still in the Host header. So only
 * those are answered that no stranger's name server has a say in: addresses, localhost, and what stats.hosts lists.
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>

/* `host` is the header's value, `names` those that are allowed as well, separated by blanks. */
bool host_is_ours(const char *host, const char *names);
