#include "proxy/health/handshake.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

void handshake_nonce(char nonce[NONCE_ROOM])
{
    unsigned long long random = 0;
    ssize_t n = getrandom(&random, sizeof(random), 0);

    (void)n;
    snprintf(nonce, NONCE_ROOM, "%016llx", random);
}

void handshake_refusal(char *text, size_t room, const char *error, size_t len, const char *password)
{
    snprintf(text, room, "%.*s", (int)len, error);
    /* A server that does not know a command quotes its arguments. */
    char *quoted = strstr(text, ", with args");
    if (quoted)
        *quoted = 0;
    if (password && password[0] && strstr(text, password))
        snprintf(text, room, "ERR the reply to the login quotes the password");
}
