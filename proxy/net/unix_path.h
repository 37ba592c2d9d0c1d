/*
 * The path of a Unix socket that is about to be bound. A process that died leaves its path behind, and nobody can bind
 * it until it is unlinked; that of one that lives must stay. Blocking for no longer than a connect to this machine.
 *
 * Thread: main, at the start.
 */
#pragma once

struct sockaddr_un;

/* Unlinks a socket that nobody answers on. */
void unix_path_clear(const struct sockaddr_un *address);
